"""Points as frames of atoms, for the programs that chemists look at them with."""

import importlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hiflow._disk import written
from hiflow.energies import Units

_FORMATS = {".extxyz": "extxyz", ".xyz": "extxyz", ".pdb": "proteindatabank"}


def are_atoms(path: str | os.PathLike[str]) -> bool:
    """Whether frames of atoms are written to a file of this name.

    **Example:**

    ```pycon
    >>> hf.data.are_atoms("samples.extxyz"), hf.data.are_atoms("samples.npz")
    (True, False)
    ```
    """
    return Path(path).suffix in _FORMATS


def to_atoms(
    points: Float[np.ndarray, "n atoms 3"],
    species: Sequence[int] | None,
    units: Units | None,
    info: Mapping[str, Sequence[Any] | np.ndarray],
    subject: str,
) -> list[Any]:
    """An `ase.Atoms` of every point, in Å, with what is told of it in `info`.

    **Raises:** `ValueError` for points that aren't positions of these atoms; `ImportError` without ASE.

    **Example:**

    <!-- skip: needs ASE -->
    ```pycon
    >>> x = np.array([[[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]]])
    >>> units = hf.energies.Units(300.0, "Å")
    >>> frames = hf.data.to_atoms(x, (8, 1, 1), units, {"energy": [0.1]}, "samples")
    >>> frames[0].get_chemical_formula()
    ```
    """
    points = np.asarray(points, np.float64)
    if species is None:
        raise ValueError(
            f"{subject}: it isn't known which elements the atoms are. Give their atomic numbers by "
            "`species`, or an energy that has them, such as that of hiflow-ase."
        )
    if points.ndim != 3 or points.shape[1:] != (len(species), 3):
        raise ValueError(
            f"{subject}: {len(species)} atoms have positions of shape ({len(species)}, 3), and the "
            f"points are of shape {points.shape[1:]}."
        )
    ase = _ase(subject)
    scale = 1.0 if units is None else units.lengths_in("Å")
    about: dict[str, Any] = {}
    if units is not None:
        about = {"temperature_K": units.temperature, "kT_eV": units.kT("eV")}
    return [
        ase.Atoms(
            numbers=species,
            positions=x * scale,
            info=about | {name: _plain(values[k]) for name, values in info.items()},
        )
        for k, x in enumerate(points)
    ]


def write_atoms(path: str | os.PathLike[str], frames: Sequence[Any]) -> None:
    """Write frames to `.extxyz`, `.xyz` (in the extended format) or `.pdb` (positions alone), whole or
    not at all.

    **Example:**

    <!-- skip: needs ASE -->
    ```pycon
    >>> x = np.array([[[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]]])
    >>> frames = hf.data.to_atoms(x, (8, 1, 1), hf.energies.Units(300.0, "Å"), {}, "samples")
    >>> hf.data.write_atoms("water.extxyz", frames)
    ```
    """
    ase_io = _ase("write_atoms", "ase.io")
    text = io.StringIO()
    ase_io.write(text, frames, format=_FORMATS[Path(path).suffix])
    with written(path) as file:
        file.write(text.getvalue().encode())


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _ase(subject: str, module: str = "ase") -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{subject}: atoms are made by ASE, which can't be imported ({error}): pip install "
            "hiflow-ase."
        ) from error
