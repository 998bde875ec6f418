"""Experiments as TOML files, and the checks of their tables' names."""

import dataclasses
import inspect
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hiflow._disk import DamagedFile, read_text
from hiflow._kinds import shown
from hiflow._words import nearest
from hiflow.experiments._overrides import as_toml, overridden
from hiflow.experiments._packaged import packaged_experiments, packaged_text
from hiflow.experiments._problems import ConfigError, Problems
from hiflow.experiments._slug import slug as slug
from hiflow.experiments._structure import check_structure
from hiflow.experiments._tuned import tuned

# As tomllib reads it.
Table = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One TOML file: what the arms share, and the arms.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> experiment = experiments.read("ring-quick")
    >>> experiment.name, sorted(experiment.tables), experiment.seeds
    ('ring-quick', ['arm', 'data', 'energy', 'evaluation', 'network', 'prior', 'training'], [0])
    ```
    """

    name: str
    text: str
    tables: Mapping[str, Any]

    @property
    def seeds(self) -> list[int]:
        """The seeds that the file asks for."""
        return list(self.tables.get("seeds", [0]))

    @property
    def arms(self) -> list[Table]:
        """The arms' tables in order, in every variant: `arm` and `variant` are the parts of `label`.

        One that lists settings in `tune` is as many arms of one family, one per setting. A variant's
        `training` is added to that of the arm, its `prior` and `network` replace the arm's.
        """
        arms = [{"arm": arm["label"], "variant": "", **arm} for arm in self.tables["arm"]]
        variants = self.tables.get("variant")
        return [_varied(a, v) for v in variants for a in arms] if variants else arms


def read(source: str | os.PathLike[str], settings: Sequence[tuple[str, Any]] = ()) -> Experiment:
    """Read a TOML file, or a packaged experiment by its name, hiflow's own or a plug-in's, and check its
    tables' names and kinds.

    **Arguments:**

    - `settings`: values that take the place of the file's, each with its dotted key, such as
      `("training.steps", 500)`.

    **Raises:** `ConfigError` for a missing file, broken TOML, unknown tables or keys and values of
    another kind: all of them at once; for a plug-in that lacks the file, or two that claim the name.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> experiment = experiments.read("ring-quick", [("training.steps", 500)])  # or a path
    >>> [arm["label"] for arm in experiment.arms], experiment.tables["training"]["steps"]
    (['OT-FM', 'isotropic end law', 'HI-FM (Langevin)'], 500)
    ```
    """
    packaged = packaged_experiments()
    path, where = Path(source), str(source)
    if where in packaged:
        name, text = where, packaged_text(where)
        where += "" if packaged[name] == "hiflow" else f" (from {packaged[name]})"
    elif path.is_file():
        name, text = path.stem, _text_of(path)
    else:
        raise ConfigError(
            f"{source}: no such file, and no packaged experiment of that name"
            f"{nearest(str(source), packaged)} Packaged: {', '.join(sorted(packaged))}."
        )
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: not valid TOML: {error}.") from error
    if settings:
        tables = overridden(tables, settings)
        said = ", ".join(f"{key} = {shown(value)}" for key, value in settings)
        text = f"# {name}, with {said}\n{as_toml(tables)}"
    problems = Problems()
    check_structure(tables, problems)
    problems.refuse(where)
    tables = tuned(tables, problems)
    problems.refuse(where)
    return Experiment(name, text, tables)


def _text_of(path: Path) -> str:
    try:
        return read_text(path, "Save it anew as text in UTF-8, or restore it from a copy.")
    except DamagedFile as error:
        raise ConfigError(str(error)) from error


def check_names(table: Mapping[str, object], known: Iterable[str], where: str) -> None:
    """Raise `ConfigError` for a name that isn't known, with the nearest that is."""
    known = list(known)
    for name in table:
        if name not in known:
            raise ConfigError(
                f"{where}: unknown name {name!r}{nearest(name, known)} Known: {', '.join(known)}."
            )


def parameters(function: Callable[..., object]) -> list[str]:
    """The names that a function takes."""
    return list(inspect.signature(function).parameters)


def _varied(arm: Table, variant: Table) -> Table:
    training = {**arm.get("training", {}), **variant.get("training", {})}
    label = f"{arm['label']}, {variant['label']}"
    return {**arm, **variant, "label": label, "variant": variant["label"], "training": training}
