"""Trajectories of atoms as the programs write them: frames, elements, the unit of length and the cell.

A plug-in reads files of its own by an entry point in the group `hiflow.readers`: its name is the suffix
without a dot, its object a function as `_by_ase`.
"""

import dataclasses
import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hiflow._index import plugins
from hiflow.data._species import in_words
from hiflow.energies import Length


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """Frames of one file.

    **Arguments:**

    - `positions`: `(frames, atoms, 3)`, in double precision.
    - `length`: their unit; `None` if the file doesn't say and its readers don't assume any.
    - `species`: atomic numbers; `None` if the file doesn't tell them.
    - `cells`: the vectors of the periodic cell of every frame, as rows; `None` without one.
    - `chains`: the chain of each frame, if the file tells.
    - `told`: what else it tells of every frame, by name, as conditions may be.

    **Example:**

    ```pycon
    >>> frames = hf.data.Trajectory(np.zeros((10, 3, 3)), length="Å", species=(8, 1, 1))
    >>> frames.positions.shape, frames.species
    ((10, 3, 3), (8, 1, 1))
    ```
    """

    positions: Float[np.ndarray, "frames atoms 3"]
    length: Length | None = None
    species: tuple[int, ...] | None = None
    cells: Float[np.ndarray, "frames 3 3"] | None = None
    chains: np.ndarray | None = None
    told: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


Reader = Callable[[Path, Path | None], Trajectory]
_ARRAYS = (".npy", ".npz")


def suffixes() -> list[str]:
    """Of all files that can be read, arrays of NumPy included."""
    return [*_ARRAYS, *_READERS, *(f".{name}" for name in sorted(plugins("readers")))]


def is_trajectory(path: Path) -> bool:
    """Whether a file is read as frames of atoms."""
    return path.suffix in _READERS or path.suffix[1:] in plugins("readers")


def needs_topology(path: str | os.PathLike[str]) -> bool:
    """Whether a trajectory of this name doesn't tell its atoms itself.

    **Example:**

    ```pycon
    >>> hf.data.needs_topology("run.xtc"), hf.data.needs_topology("run.pdb")
    (True, False)
    ```
    """
    return Path(path).suffix in (".dcd", ".xtc", ".trr", ".nc")


def read(path: Path, topology: Path | None) -> Trajectory:
    """The frames of a file, all of the same atoms.

    **Arguments:**

    - `topology`: a file that tells the atoms, where the trajectory doesn't: a `.pdb` of one frame.

    **Raises:** `ImportError` without the package that reads it, `ValueError` for what can't be read.
    """
    reader = _READERS.get(path.suffix)
    if reader is None:
        reader = plugins("readers")[path.suffix[1:]][0].load()
    try:
        found = reader(path, topology)
    except (ImportError, _RefusedError):
        raise
    except Exception as error:  # Whatever a parser makes of a file that isn't what it is called.
        raise ValueError(
            f"load: {str(path)!r} can't be read as {path.suffix} ({type(error).__name__}: {error}). It "
            "is truncated, or another format."
        ) from error
    if len(found.positions) == 0 or found.positions.shape[1] == 0:
        raise ValueError(f"load: {str(path)!r} holds no frames of atoms.")
    return found


class _RefusedError(ValueError):
    """A sentence that needs no more words."""


def _by_ase(path: Path, topology: Path | None) -> Trajectory:
    """`.xyz` and `.extxyz`, in Å. `info["chain"]` of a frame is its chain."""
    _refuse_topology(path, topology)
    io = _needed("ase.io", path, "pip install hiflow-ase")
    format_ = "extxyz" if path.suffix == ".extxyz" else None
    frames = io.read(path, index=":", format=format_)
    first = tuple(frames[0].numbers.tolist()) if frames else ()
    for index, frame in enumerate(frames):
        if tuple(frame.numbers.tolist()) != first:
            raise _RefusedError(
                f"load: {str(path)!r}: frame {index} has the atoms {in_words(frame.numbers.tolist())}, "
                f"and frame 0 {in_words(first)}. All frames must be of the same atoms in the same order."
            )
    periodic = [frame.pbc.all() for frame in frames]
    partly = [frame.pbc.any() and not frame.pbc.all() for frame in frames]
    if any(partly) or any(periodic) != all(periodic):
        raise _RefusedError(
            f"load: {str(path)!r}: frame {int(np.argmax(partly))} is periodic along some axes, or some "
            "frames are and others aren't. Set pbc to False if it is an isolated molecule."
        )
    chains = [frame.info.get("chain") for frame in frames]
    return Trajectory(
        np.stack([frame.positions for frame in frames]) if frames else np.zeros((0, 0, 3)),
        "Å",
        first,
        np.stack([np.asarray(frame.cell) for frame in frames]) if any(periodic) else None,
        None if None in chains else np.asarray(chains),
        _told([frame.info for frame in frames]),
    )


def _told(infos: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What the comments of all frames tell, a word or numbers each."""
    found = {}
    for name in set(infos[0]).intersection(*infos) if infos else ():
        values = [np.asarray(info[name]) for info in infos]
        if len({value.shape for value in values}) == 1 and values[0].ndim < 2:
            found[name] = np.stack(values)
    return found


def _by_mdtraj(path: Path, topology: Path | None) -> Trajectory:
    """`.pdb` and `.h5`, and with a topology `.dcd`, `.xtc`, `.trr` and `.nc`; in nm."""
    mdtraj = _needed("mdtraj", path, "pip install 'hiflow-jax[trajectories]'")
    alone = not needs_topology(path)
    if alone:
        _refuse_topology(path, topology)
    elif topology is None:
        raise _RefusedError(
            f"load: {str(path)!r} doesn't tell its atoms. Give `topology`, a .pdb of the same "
            "atoms."
        )
    given = {} if alone else {"top": str(topology)}
    found = mdtraj.load(str(path), **given)
    cells = found.unitcell_vectors
    # Programs write a cell of 1 Å for none.
    if cells is not None and np.abs(cells).max() <= 0.1001:
        cells = None
    elements = [atom.element for atom in found.topology.atoms]
    known = all(element is not None and element.atomic_number > 0 for element in elements)
    return Trajectory(
        np.asarray(found.xyz, np.float64),
        "nm",
        tuple(element.atomic_number for element in elements) if known else None,
        None if cells is None else np.asarray(cells, np.float64),
    )


def _refuse_topology(path: Path, topology: Path | None) -> None:
    if topology is not None:
        raise _RefusedError(f"load: {str(path)!r} tells its atoms itself. Leave out `topology`.")


def _needed(module: str, path: Path, cure: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"load: {path.suffix} files are read by {package}, which can't be imported "
            f"({error}): {cure}."
        ) from error


_READERS: dict[str, Reader] = {
    ".xyz": _by_ase,
    ".extxyz": _by_ase,
    ".pdb": _by_mdtraj,
    ".h5": _by_mdtraj,
    ".dcd": _by_mdtraj,
    ".xtc": _by_mdtraj,
    ".trr": _by_mdtraj,
    ".nc": _by_mdtraj,
}
