"""`[arm.tune]`: an arm with lists of settings, as one arm per setting, of one family.

It is imported without JAX, as `read` is.
"""

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hiflow._kinds import shown
from hiflow._words import nearest
from hiflow.experiments._problems import Problems

Table = dict[str, Any]
_TUNED = ("path", "prior", "network", "training")


def tuned(tables: Mapping[str, Any], problems: Problems) -> Table:
    """The tables with a candidate arm for every combination of the settings that an arm's `tune` lists,
    in place of that arm.

    `tune.path.beta = [1.0, 10.0]` under `[[arm]]` makes two arms, "label, beta 1.0" and "label, beta
    10.0", whose family is the arm's own or else its label: comparisons choose a family's best by
    `[data]`'s validation points. What is wrong is noted.
    """
    arms: list[Table] = []
    for arm in tables["arm"]:
        if "tune" not in arm:
            arms.append(arm)
        else:
            arms += _candidates(arm, tables, problems)
    _check_validation(tables, problems)
    labels = [arm.get("label") for arm in arms]
    for label in {label for label in labels if labels.count(label) > 1}:
        problems.add(f"[[arm]]: `tune` makes a second arm of the label {label!r}; rename one.")
    return {**tables, "arm": arms}


def _candidates(arm: Table, tables: Mapping[str, Any], problems: Problems) -> list[Table]:
    where = f'[[arm]] "{arm["label"]}"'
    leaves = dict(_leaves(arm["tune"]))
    before = len(problems)
    if not leaves:
        problems.add(
            f"{where}: `tune` lists no settings; write tune.path.beta = [1.0, 10.0], or leave it out."
        )
    for place, values in leaves.items():
        name = ".".join(("tune", *place))
        part = next(iter(place), "")
        if len(place) < 2 or part not in _TUNED:
            guess = nearest(part, _TUNED)
            problems.add(
                f"{where}: `{name}` must be a setting in one of {', '.join(_TUNED)}{guess}"
            )
        elif not isinstance(values, list) or not values or _repeats(values):
            problems.add(
                f"{where}: `{name}` must be a list of settings, each once; got {shown(values)}."
            )
    if len(problems) > before:
        return [{name: value for name, value in arm.items() if name != "tune"}]
    return [
        _with(arm, tables, dict(zip(leaves, chosen, strict=True)))
        for chosen in itertools.product(*leaves.values())
    ]


def _leaves(table: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What a table of tables ends in, with the way there."""
    if not isinstance(table, Mapping):
        yield place, table
        return
    for name, value in table.items():
        yield from _leaves(value, (*place, name))


def _with(arm: Table, tables: Mapping[str, Any], chosen: Mapping[tuple[str, ...], Any]) -> Table:
    """The arm with these settings, over its own or else the experiment's component."""
    made = {name: copy.deepcopy(value) for name, value in arm.items() if name != "tune"}
    for place, value in chosen.items():
        if place[0] not in made and place[0] != "training" and place[0] in tables:
            made[place[0]] = copy.deepcopy(tables[place[0]])
        table = made
        for name in place[:-1]:
            inside = table.get(name)
            inside = {"name": inside} if isinstance(inside, str) else inside
            table[name] = inside if isinstance(inside, dict) else {}
            table = table[name]
        table[place[-1]] = value
    short = [place[-1] for place in chosen]
    words = [
        f"{place[-1] if short.count(place[-1]) == 1 else '.'.join(place)} {_said(value)}"
        for place, value in chosen.items()
    ]
    return {
        **made,
        "family": arm.get("family", arm["label"]),
        "label": ", ".join([arm["label"], *words]),
    }


def _said(value: Any) -> str:
    return value["name"] if isinstance(value, Mapping) and "name" in value else str(value)


def _repeats(values: Sequence[Any]) -> bool:
    return any(value in values[:k] for k, value in enumerate(values))


def _check_validation(tables: Mapping[str, Any], problems: Problems) -> None:
    data = tables.get("data")
    number = data.get("validation", 0) if isinstance(data, Mapping) else 0
    if any("tune" in arm for arm in tables["arm"]) and not number:
        problems.add(
            "[data]: `tune` chooses by validation points; say how many by `validation`, such as 256."
        )
