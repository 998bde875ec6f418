"""What a file says of an arm whose path is to be chosen: `path = "auto"`, or a table of that name."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from hiflow._checks import check_settings, setting, whole
from hiflow._words import nearest
from hiflow.energies import AbstractEnergy

NAME = "auto"


def _folds(value: object) -> int | None:
    return None if value is None else whole(1)(value)


@dataclasses.dataclass(frozen=True)
class AutoSettings:
    """Those of [`choose_path`][hiflow.choose_path] that a file may say.

    **Raises:** `ValueError` for a value of another type or out of range, with the field's name.
    """

    # Run-time type checkers leave the constructor alone: the fields' own checks are its type checks.
    __no_type_check__: ClassVar[bool] = True

    folds: int | None = setting(_folds, None)
    finalists: int = setting(whole(1), 3)

    def __post_init__(self):
        check_settings(self)


@dataclasses.dataclass(frozen=True)
class Auto:
    """An arm's path that is still to be chosen, and the energy that it may be of."""

    settings: AutoSettings
    energy: AbstractEnergy | None


def is_auto(table: object) -> bool:
    """Whether a path's name or table asks for a choice."""
    return table == NAME or (isinstance(table, Mapping) and table.get("name") == NAME)


def auto_settings(table: Any) -> AutoSettings:
    """The settings of a choice.

    **Raises:** `ValueError` for an unknown one, or a wrong value.
    """
    given = {} if table == NAME else {key: table[key] for key in table if key != "name"}
    known = [field.name for field in dataclasses.fields(AutoSettings)]
    for name in given:
        if name not in known:
            raise ValueError(
                f"unknown setting {name!r}{nearest(name, known)} There are {', '.join(known)}."
            )
    return AutoSettings(**given)
