"""Energies in files, so that what was fitted once is used again."""

import os

from hiflow import _disk
from hiflow.energies._base import AbstractEnergy


def save(energy: AbstractEnergy, path: str | os.PathLike[str]) -> None:
    """Write an energy to one file, atomically. [`load`][hiflow.energies.load] reads it.

    **Raises:** `TypeError` if it holds something that can't be stored, such as a lambda.
    """
    _disk.save(energy, path)


def load(path: str | os.PathLike[str]) -> AbstractEnergy:
    """Read an energy that [`save`][hiflow.energies.save] wrote.

    **Raises:** `FileNotFoundError`; `ValueError` if the file is truncated, corrupt or holds something
    else; `ImportError` if it needs a package that isn't installed.
    """
    energy = _disk.load(path)
    if not isinstance(energy, AbstractEnergy):
        raise ValueError(
            f"{path}: holds a {type(energy).__name__}, not an energy. Give a file that "
            "hiflow.energies.save wrote."
        )
    return energy
