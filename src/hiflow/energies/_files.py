"""Energies in files, so that what was fitted once is used again."""

import os
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from hiflow import _disk
from hiflow.energies._base import AbstractEnergy


def save(energy: AbstractEnergy, path: str | os.PathLike[str]) -> None:
    """Write an energy to one file, atomically. [`load`][hiflow.energies.load] reads it.

    **Raises:** `TypeError` if it holds something that can't be stored, such as a lambda.

    **Example:**

    ```pycon
    >>> fitted = hf.energies.FittedGaussian.fit(points, rank=1)
    >>> hf.energies.save(fitted, "fitted.energy")
    >>> hf.energies.load("fitted.energy")(points[0]) == fitted(points[0])
    Array(True, dtype=bool)
    ```
    """
    _disk.save(energy, path)


def load(path: str | os.PathLike[str], *, trust: Sequence[str] = ()) -> AbstractEnergy:
    """Read an energy that [`save`][hiflow.energies.save] wrote.

    **Arguments:**

    - `trust`: packages of your own whose classes and functions the file may hold; they are imported.

    **Raises:** as [`hiflow.load`][hiflow.load].

    **Example:**

    ```pycon
    >>> hf.energies.save(ring, "ring.energy")
    >>> again = hf.energies.load("ring.energy")
    >>> bool(again(points[0]) == ring(points[0]))
    True
    ```
    """
    energy = _disk.load(path, trust)
    if not isinstance(energy, AbstractEnergy):
        raise ValueError(
            f"{path}: holds a {type(energy).__name__}, not an energy. Give a file that "
            "hiflow.energies.save wrote."
        )
    x = jax.ShapeDtypeStruct(energy.event_shape, float)
    try:
        value = eqx.filter_eval_shape(energy, x)
    except Exception as error:  # Whatever arrays that don't fit together make of it.
        raise ValueError(f"{path}: the energy's parts don't fit together ({error}).") from error
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(f"{path}: the energy gives {value.dtype}{list(value.shape)} for an event.")
    return energy
