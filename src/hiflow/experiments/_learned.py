"""What a file says of an arm whose path's numbers are to be learned: a `path` table named "learned"."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from hiflow import paths
from hiflow._checks import check_settings, setting, whole
from hiflow._kinds import shown
from hiflow.energies import AbstractEnergy
from hiflow.experiments._auto_settings import optional_whole, settings_in
from hiflow.training import Choice
from hiflow.training._learn import learned
from hiflow.training._ranges import Range, number_at, ranges_of, with_numbers

NAME = "learned"
_TABLES = ("path", "learn")
Table = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class LearnedSettings:
    """Those of [`learn_path`][hiflow.learn_path] that a file may say, beside `path` and `learn`.

    **Raises:** `ValueError` for a value of another type or out of range, with the field's name.
    """

    # Run-time type checkers leave the constructor alone: the fields' own checks are its type checks.
    __no_type_check__: ClassVar[bool] = True

    trials: int = setting(whole(1), 12)
    finalists: int = setting(whole(1), 2)
    folds: int | None = setting(optional_whole, None)

    def __post_init__(self):
        check_settings(self)


@dataclasses.dataclass(frozen=True)
class Learned:
    """An arm's path whose numbers are still to be learned.

    **Arguments:**

    - `energy`: the experiment's, if it has one.
    - `path`: its table as the file has it. `made`: with all in it that is made of the arm's points.
    - `learn`: the table of bounds. `ranges`: what it says.
    """

    settings: LearnedSettings
    energy: AbstractEnergy | None
    path: Table
    made: Table
    learn: Table
    ranges: tuple[Range, ...]

    def choose(self, place: Path, network: Any, points: object, **surroundings: Any) -> Choice:
        """The numbers that are learned; trials are kept in `place` on the way."""
        settings = dataclasses.asdict(self.settings) | surroundings
        settings |= {"energy": self.energy, "learn": self.learn, "folder": place}
        return learned(network, self.made, points, **settings)

    def said(self, table: Table) -> Table:
        """The path as a file has it, with the numbers of a table."""
        return self._with_numbers(self.path, table)

    def whole(self, said: Table) -> Table:
        """What makes the path that a file has."""
        return self._with_numbers(self.made, said)

    def _with_numbers(self, table: Table, other: Table) -> Table:
        found = {each: number_at(other, each) for each in self.ranges}
        known = {each: number for each, number in found.items() if number is not None}
        return with_numbers(table, list(known), list(known.values()))


def is_learned(table: object) -> bool:
    """Whether a path's table asks for numbers to be learned."""
    return table == NAME or (isinstance(table, Mapping) and table.get("name") == NAME)


def learned_in(
    table: Any, energy: AbstractEnergy | None, make: Callable[[Table], Table]
) -> Learned:
    """What is to be learned of a path.

    **Arguments:**

    - `make`: makes what is made of the arm's points in a path's table.

    **Raises:** `ValueError` for what isn't a path's table or a table of bounds, and for wrong settings.
    """
    settings = settings_in(LearnedSettings, table, _TABLES)
    missing = [name for name in _TABLES if not isinstance(table, Mapping) or name not in table]
    if missing:
        raise ValueError(
            f"'learned' needs {' and '.join(map(repr, missing))}, as in {{name = 'learned', path = "
            "{name = 'relaxed', curvature = 'affine-power'}, learn.curvature.floor = [0.1, 100.0]}."
        )
    path, learn = table["path"], table["learn"]
    if not isinstance(learn, Mapping):
        raise ValueError(f"`learn` must be a table of bounds; got {shown(learn)}.")
    path = paths.registry.table_of(path)
    made = make(path)
    return Learned(settings, energy, path, made, learn, ranges_of(learn, made))
