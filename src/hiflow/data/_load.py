"""Samples from files: arrays of NumPy, and trajectories of atoms."""

import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from hiflow._checks import refuse_not_finite
from hiflow.data import _trajectory
from hiflow.data._arrays import array_in
from hiflow.data._conditions import (
    Asked,
    Told,
    files_beside,
    refuse_missing,
    rows_in,
    rows_together,
)
from hiflow.data._lengths import wrong_lengths
from hiflow.data._samples import Samples
from hiflow.data._species import in_words, refuse_other_species
from hiflow.data._trajectory import Trajectory, needs_topology
from hiflow.data._whole import made_whole
from hiflow.energies import AbstractEnergy, species_of, units_of

File = str | os.PathLike[str]


def load(
    path: File | Sequence[File],
    event_shape: tuple[int, ...] | None = None,
    key_name: str | None = None,
    *,
    energy: AbstractEnergy | None = None,
    topology: File | None = None,
    frames: Sequence[int] | None = None,
    independent: bool = False,
    condition: str | Sequence[str] | None = None,
    condition_file: File | Sequence[File] | None = None,
    classes: Sequence[str] | None = None,
) -> Samples:
    """Samples from `.npy` and `.npz` files, or from trajectories of atoms: `.xyz` and `.extxyz` (read by
    ASE, `pip install hiflow-ase`), `.pdb`, `.h5`, `.dcd`, `.xtc`, `.trr` and `.nc` (by mdtraj,
    `pip install 'hiflow-jax[trajectories]'`).

    Frames of atoms are centred, in double precision. Where there is a periodic cell they are first made
    whole: it is used for nothing else. Lengths come in the energy's unit, if it has
    [`units`][hiflow.energies.Units], and in the file's otherwise, Å for `.xyz` and nm for what mdtraj
    reads. A trajectory is one chain, unless its frames have a `chain` in the extended format's comment.
    What was done is said by the samples' `origin`.

    **Arguments:**

    - `path`: the file, or several, whose chains are then kept apart: one per file or replica. Pickled
      arrays are refused: reading one can run any code.
    - `event_shape`: the shape of one point; by default the energy's. Points that are stored flat, as
      `(n, dim)`, are reshaped to it.
    - `key_name`: the array to take from an `.npz` file. By default `points`, the only one, or
      the samples of the only flow that `hiflow sample` wrote.
    - `energy`: what the points are samples of. Its unit of length is theirs, and the atoms must be its
      `species`, in their order.
    - `topology`: a `.pdb` of the atoms, for `.dcd`, `.xtc`, `.trr` and `.nc`.
    - `frames`: `[start, stop]` or `[start, stop, step]`, of every file.
    - `independent`: whether frames are independent geometries, and no chain. Errors count them as such.
    - `condition`: what the file tells of every point beside, for a flow of $x$ given $c$: an array of
      the `.npz` file, or what the comment of every frame of an `.extxyz` file says by that name. Whole
      numbers from 0 and words are classes, which the samples number in order, with their names; floats
      are vectors, and several names are the parts of one.
    - `condition_file`: where that stands if it is another file: a `.csv` with a line of names, an
      `.npz`, or a `.npy`; of several files a list of them.
    - `classes`: the names of all classes in the order of their numbers, as the `classes` of training
      samples: other samples then have the numbers that a flow of these knows. By default, as
      [`Samples.save`][hiflow.data.Samples.save] wrote them, or those that there are.

    **Raises:** `OSError` for a file that can't be opened; `ImportError` without the package that reads
    it; `ValueError` for one of another kind, truncated or pickled, for an unknown `key_name`, for points
    of another shape or type, for NaN or infinity, and for an array `chains` beside `points` that isn't
    one label per point; for atoms of other elements or in another order, lengths that no atoms have, and
    a periodic cell whose atoms don't make up a molecule; for a `condition` that isn't there, or isn't
    one class or vector for each point.

    **Example:**

    ```pycon
    >>> np.save("points.npy", points)
    >>> samples = hf.data.load("points.npy", energy=ring)
    >>> samples.shape, samples.event_shape
    ((200, 2), (2,))
    ```
    """
    shape = energy.event_shape if event_shape is None and energy is not None else event_shape
    paths = [Path(path)] if isinstance(path, str | os.PathLike) else [Path(each) for each in path]
    if not paths:
        raise ValueError("load: `path` is an empty list. Give at least one file.")
    given = None if topology is None else Path(topology)
    beside = files_beside(condition_file, len(paths))
    parts = []
    for each, other in zip(paths, beside, strict=True):
        asked = None if condition is None and other is None else (condition, other)
        parts.append(_loaded(each, shape, key_name, energy, given, frames, asked))
    samples = _joined(parts)
    rows, names = rows_together([part.told for part in parts], paths, classes)
    chains = None if independent else samples.chains
    return Samples(samples.points, chains, None, samples.origin, rows, names)


@dataclasses.dataclass(frozen=True)
class _Part:
    """What is taken from one file: samples and their conditions, and what it tells of the atoms."""

    path: Path
    samples: Samples
    told: Told | None
    frames: Trajectory | None


def _loaded(
    path: Path,
    shape: tuple[int, ...] | None,
    key_name: str | None,
    energy: AbstractEnergy | None,
    topology: Path | None,
    frames: Sequence[int] | None,
    asked: Asked | None,
) -> _Part:
    refuse_missing(path)
    if _trajectory.is_trajectory(path):
        if topology is not None:
            refuse_missing(topology, " (`topology`)")
        found, origin, rows = _atoms(path, energy, topology, frames, asked)
        points, chains = found.positions, found.chains
    elif path.suffix in (".npy", ".npz"):
        points, chains, columns = array_in(path, key_name, asked)
        if points.ndim == 0:
            _refuse_empty(points, path)
        chosen = _range(frames, len(points), path)
        rows = rows_in(asked, columns, len(points), path, chosen)
        points, found, origin = points[chosen], None, None
        chains = chains if chains is None else chains[chosen]
    else:
        known = ", ".join(_trajectory.suffixes())
        raise ValueError(f"load: `path` must end in one of {known}; got {str(path)!r}.")
    points = _checked(points, shape, path)
    if (wrong := wrong_lengths(energy, points)) is not None:
        raise ValueError(f"load: {str(path)!r}: {wrong}")
    return _Part(path, Samples(points, chains, origin=origin), rows, found)


def _atoms(
    path: Path,
    energy: AbstractEnergy | None,
    topology: Path | None,
    frames: Sequence[int] | None,
    asked: Asked | None,
) -> tuple[Trajectory, str, Told | None]:
    """Centred frames, what was done to them, and their conditions."""
    subject = f"load: {str(path)!r}"
    found = _trajectory.read(path, topology)
    number = len(found.positions)
    chosen = _range(frames, number, path)
    rows = rows_in(asked, found.told, number, path, chosen)
    found = _frames(found, chosen)
    wanted = species_of(energy)
    if wanted is not None and found.species is not None:
        refuse_other_species(found.species, wanted, subject)
    x, done = found.positions, ["centred"]
    if found.cells is not None:
        x = made_whole(x, found.cells, subject)
        done.insert(0, "made whole across the periodic cell")
    units = units_of(energy)
    lengths = found.length
    if units is not None and found.length is not None:
        lengths = units.length
        if units.length != found.length:
            x = x / units.lengths_in(found.length)
            done.append(f"{found.length} to {units.length}")
    x = x - x.mean(axis=1, keepdims=True)
    atoms = f"{x.shape[1]} atoms" if found.species is None else in_words(found.species)
    origin = f"{path.name}: {len(x):,} frames of {atoms}, lengths in {lengths}; {', '.join(done)}"
    chains = np.zeros(len(x), int) if found.chains is None else found.chains
    placed = dataclasses.replace(found, positions=x, length=lengths, chains=chains)
    return placed, origin, rows


def _frames(found: Trajectory, chosen: slice) -> Trajectory:
    cells = None if found.cells is None else found.cells[chosen]
    chains = None if found.chains is None else found.chains[chosen]
    return dataclasses.replace(found, positions=found.positions[chosen], cells=cells, chains=chains)


def _range(frames: Sequence[int] | None, n: int, path: Path) -> slice:
    """**Raises:** `ValueError` for frames that the file doesn't have."""
    if frames is None:
        return slice(None)
    numbers = list(frames)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in numbers)
    if whole and len(numbers) in (2, 3):
        start, stop, step = (*numbers, 1)[:3]
        if 0 <= start < stop <= n and step >= 1:
            return slice(start, stop, step)
    raise ValueError(
        f"load: `frames` must be [start, stop] or [start, stop, step] with 0 ≤ start < stop ≤ {n}, the "
        f"number of frames in {str(path)!r}; got {frames!r}."
    )


def _joined(parts: list[_Part]) -> Samples:
    """Of several files every one has chains of its own."""
    if len(parts) == 1:
        return parts[0].samples
    _refuse_other_points(parts)
    samples = [part.samples for part in parts]
    chains, count = [], 0
    for part in samples:
        labels = np.zeros(len(part), int) if part.chains is None else part.chains
        names, index = np.unique(labels, return_inverse=True)
        chains.append(count + index)
        count += len(names)
    origins = [part.origin for part in samples if part.origin is not None]
    return Samples(
        np.concatenate([np.asarray(part) for part in samples]),
        np.concatenate(chains),
        origin="; ".join(origins) or None,
    )


def _refuse_other_points(parts: list[_Part]) -> None:
    """Raise `ValueError` for files of points that don't go together."""
    shape = parts[0].samples.event_shape
    for part in parts:
        if part.samples.event_shape != shape:
            raise ValueError(
                f"load: {str(part.path)!r} has points of shape {part.samples.event_shape}, and "
                f"{str(parts[0].path)!r} of {shape}."
            )
    for (path, species), (other, wanted) in _told_of(parts, "species"):
        refuse_other_species(species, wanted, f"load: {str(path)!r}", str(other))
    for (path, length), (other, wanted) in _told_of(parts, "length"):
        if length != wanted:
            raise ValueError(
                f"load: lengths are in {length} in {str(path)!r}, and in {wanted} in {str(other)!r}. "
                "Give an `energy` with `units`, into which all are brought, or files of one kind."
            )


def refuse_other_atoms(
    paths: Sequence[File], energy: AbstractEnergy | None, topology: File | None
) -> None:
    """Raise `ValueError` unless all trajectories among the files are of the same atoms, in one order and
    one unit of length. Arrays tell nothing of either, and aren't read."""
    trajectories = [path for path in map(Path, paths) if _trajectory.is_trajectory(path)]
    given = None if topology is None else Path(topology)
    parts = [
        _loaded(path, None, None, energy, given if needs_topology(path) else None, (0, 1), None)
        for path in trajectories
    ]
    if len(parts) > 1:
        _refuse_other_points(parts)


def _told_of(parts: list[_Part], name: str) -> Iterator[tuple[tuple[Path, Any], tuple[Path, Any]]]:
    """What the files tell by this name, beside what the first does."""
    known = [(part.path, getattr(part.frames, name, None)) for part in parts]
    told = [each for each in known if each[1] is not None]
    return ((each, told[0]) for each in told[1:])


def _checked(points: np.ndarray, event_shape: tuple[int, ...] | None, path: Path) -> np.ndarray:
    if not (np.issubdtype(points.dtype, np.floating) or np.issubdtype(points.dtype, np.integer)):
        raise ValueError(f"load: {str(path)!r} must hold real numbers, got dtype {points.dtype}.")
    _refuse_empty(points, path)
    if event_shape is not None and points.shape[1:] != tuple(event_shape):
        if points.ndim != 2 or points.shape[1] != np.prod(event_shape):
            raise ValueError(
                f"load: {str(path)!r} must hold points of shape {tuple(event_shape)}, got an array "
                f"of shape {points.shape}.{_axes(points.shape[1:], tuple(event_shape))}"
            )
        points = points.reshape(-1, *event_shape)
    with np.errstate(over="ignore"):  # What single precision doesn't hold is refused too.
        points = points.astype(jnp.result_type(float))
    refuse_not_finite(points, f"load: {str(path)!r}", kind="points", cure="Remove them first.")
    return points


def _refuse_empty(points: np.ndarray, path: Path) -> None:
    if points.ndim < 1 or points.size == 0:
        raise ValueError(
            f"load: {str(path)!r} must hold an array (n, *event) with n ≥ 1, got {points.shape}."
        )


def _axes(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What to do about events whose axes are another's, or more by axes of length 1."""
    for order in itertools.permutations(range(len(shape))):
        if tuple(shape[i] for i in order) == wanted:
            axes = (0, *(i + 1 for i in order))
            return f" Its axes are in another order: numpy.transpose(points, {axes})."
    if tuple(size for size in shape if size > 1) == tuple(size for size in wanted if size > 1):
        return f" Reshape it: points.reshape(-1, {', '.join(map(str, wanted))})."
    return ""
