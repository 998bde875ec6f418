"""What a file says of an arm whose path is to be chosen: `path = "auto"`, or a table of that name."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from hiflow._checks import check_settings, setting, whole
from hiflow._words import nearest
from hiflow.energies import AbstractEnergy
from hiflow.training import Choice
from hiflow.training._choose import judging, made_choice

S = TypeVar("S")
NAME = "auto"


def optional_whole(value: object) -> int | None:
    """A check that a setting is a whole number of at least 1, if it is given."""
    return None if value is None else whole(1)(value)


@dataclasses.dataclass(frozen=True)
class AutoSettings:
    """Those of [`choose_path`][hiflow.choose_path] that a file may say.

    **Raises:** `ValueError` for a value of another type or out of range, with the field's name.
    """

    # Run-time type checkers leave the constructor alone: the fields' own checks are its type checks.
    __no_type_check__: ClassVar[bool] = True

    judge: str = setting(judging, "auto")
    folds: int | None = setting(optional_whole, None)
    finalists: int = setting(whole(1), 3)

    def __post_init__(self):
        check_settings(self)


@dataclasses.dataclass(frozen=True)
class Auto:
    """An arm's path that is still to be chosen, and the energy that it may be of."""

    settings: AutoSettings
    energy: AbstractEnergy | None

    def choose(self, place: object, network: Any, points: object, **surroundings: Any) -> Choice:
        """The choice; nothing of it is kept on the way."""
        settings = dataclasses.asdict(self.settings)
        return made_choice(network, points, energy=self.energy, **settings, **surroundings)

    def said(self, table: Any) -> Any:
        """The chosen table as a file has it."""
        return table

    def whole(self, said: Any) -> Any:
        """What makes the path that a file has."""
        return said


def is_auto(table: object) -> bool:
    """Whether a path's name or table asks for a choice."""
    return table == NAME or (isinstance(table, Mapping) and table.get("name") == NAME)


def settings_in(kind: type[S], table: Any, besides: Sequence[str] = ()) -> S:
    """The settings that the table of a path by choice says, which may hold keys `besides`.

    **Raises:** `ValueError` for an unknown one, or a wrong value.
    """
    given = {} if isinstance(table, str) else {key: table[key] for key in table if key != "name"}
    known = [field.name for field in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType]
    known = [*besides, *known]
    for name in given:
        if name not in known:
            raise ValueError(
                f"unknown setting {name!r}{nearest(name, known)} There are {', '.join(known)}."
            )
    return kind(**{name: value for name, value in given.items() if name not in besides})
