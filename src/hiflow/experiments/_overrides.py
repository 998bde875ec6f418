"""Single settings said beside a file, and tables written as TOML. Imported without JAX."""

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hiflow._kinds import shown
from hiflow._words import nearest
from hiflow.experiments._problems import ConfigError

Table = dict[str, Any]
# A file may also name these as a word, which then gets a table of its own.
_COMPONENTS = ("energy", "prior", "network", "path")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def overridden(tables: Mapping[str, Any], settings: Iterable[tuple[str, Any]]) -> Table:
    """A file's tables with other values at dotted keys, such as `training.steps`, or
    `arm.LABEL.path.kappa` of an arm.

    **Raises:** `ConfigError` for a key that leads nowhere. What is wrong with a value is found as in a
    file.
    """
    found = copy.deepcopy(dict(tables))
    for dotted, value in settings:
        *way, last = dotted.split(".")
        if not all((*way, last)):
            raise ConfigError(f"--set {dotted}: must be a key, as training.steps.")
        place: Any = found
        for number, key in enumerate(way):
            place = _inside(place, key, ".".join(way[: number + 1]), dotted)
        if not isinstance(place, dict):
            raise ConfigError(f"--set {dotted}: {way[-1]!r} is no table; it is {shown(place)}.")
        place[last] = value
    return found


def _inside(place: Any, key: str, so_far: str, dotted: str) -> Any:
    if isinstance(place, list):
        labels = {each.get("label"): each for each in place if isinstance(each, dict)}
        if key not in labels:
            raise ConfigError(
                f"--set {dotted}: nothing has the label {key!r}{nearest(key, map(str, labels))} There "
                f"are {', '.join(map(str, labels))}."
            )
        return labels[key]
    if not isinstance(place, dict):
        raise ConfigError(
            f"--set {dotted}: {so_far!r} is in no table; its place is {shown(place)}."
        )
    if isinstance(place.get(key), str) and key in _COMPONENTS:
        place[key] = {"name": place[key]}
    return place.setdefault(key, {})


def as_toml(tables: Mapping[str, Any]) -> str:
    """Tables as the text of a file, which reads as they are."""
    return "\n".join(_lines(tables)) + "\n"


def _lines(tables: Mapping[str, Any]) -> Iterator[str]:
    for name, value in tables.items():
        if not isinstance(value, Mapping) and not _are_tables(value):
            yield f"{_key(name)} = {_value(value)}"
    for name, value in tables.items():
        if isinstance(value, Mapping):
            yield from ("", f"[{_key(name)}]", *_pairs(value))
        elif _are_tables(value):
            for each in value:
                yield from ("", f"[[{_key(name)}]]", *_pairs(each))


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    return (f"{_key(name)} = {_value(value)}" for name, value in table.items())


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # JSON's escapes are TOML's, but for the sign of deletion, which JSON leaves as it is.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            return f"{{{', '.join(_pairs(value))}}}"
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case int() | float():
            return repr(value)
        case _:
            return value.isoformat()  # A date or a time.
