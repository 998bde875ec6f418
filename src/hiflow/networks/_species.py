"""Which particles a network tells apart, and whether bonds leave the others interchangeable."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hiflow._kinds import shown

Species = tuple[int | float | str, ...]
Bonds = tuple[tuple[int, int], ...]


def species_or_none(value: Any, what: str) -> Species | None:
    """One label per particle, numbers or words.

    **Raises:** `ValueError` for anything else.
    """
    if value is None:
        return None
    labels = np.asarray(value).tolist() if hasattr(value, "__iter__") else None
    if isinstance(value, str) or not isinstance(labels, list) or not all(map(_is_label, labels)):
        raise ValueError(
            f"{what} must be a sequence with one label per particle, got {shown(value)}. Write "
            'species=["O", "H", "H"], or range(particles) if all of them differ.'
        )
    return tuple(labels)


def bonds_of(value: Any, what: str) -> Bonds:
    """Pairs of particles, each once and sorted.

    **Raises:** `ValueError` for anything else.
    """
    try:
        pairs = np.asarray(list(value))
    except (TypeError, ValueError):  # No sequence, or a ragged one.
        pairs = np.asarray([0.5])
    whole = pairs.shape == (len(pairs), 2) and pairs.dtype.kind in "iu"
    if pairs.size and not whole:
        raise ValueError(
            f"{what} must be pairs of particles' indices, got {shown(value)}. Write [(0, 1), (0, 2)]."
        )
    ends = np.sort(pairs.astype(int).reshape(-1, 2), axis=1)
    return tuple(sorted({(int(i), int(j)) for i, j in ends}))


def check_species(owner: str, particles: int, species: Species | None, bonds: Bonds) -> None:
    """Raise `ValueError` unless there is a label for every particle, and every exchange of particles
    with one label keeps the bonds."""
    if species is not None and len(species) != particles:
        raise ValueError(
            f"{owner}: `species` must have one label for each of the {particles} particles, got "
            f"{len(species)}: {shown(species)}."
        )
    for i, j in bonds:
        if not 0 <= i < j < particles:
            raise ValueError(
                f"{owner}: `bonds` must be between two of the particles 0 to {particles - 1}, got "
                f"{(i, j)}."
            )
    kinds = kinds_of(species, particles)
    left = _twins(kinds, bonds)
    if left != kinds:
        i, j = next(
            (i, j)
            for j in range(particles)
            for i in range(j)
            if kinds[i] == kinds[j] and left[i] != left[j]
        )
        raise ValueError(
            f"{owner}: `bonds` tell particles {i} and {j} apart, which have one label in `species`. "
            f"Give them labels that bonds keep, as species={list(left)}, or range({particles})."
        )


def kinds_of(species: Sequence[object] | None, particles: int) -> tuple[int, ...]:
    """Labels as integers, in the order in which they come."""
    if species is None:
        return (0,) * particles
    order = {label: kind for kind, label in enumerate(dict.fromkeys(species))}
    return tuple(order[label] for label in species)


def _twins(kinds: tuple[int, ...], bonds: Bonds) -> tuple[int, ...]:
    """The coarsest kinds within which every exchange of two particles keeps kinds and bonds: theirs are
    with the same others."""
    near: list[set[int]] = [set() for _ in kinds]
    for i, j in bonds:
        near[i].add(j)
        near[j].add(i)
    first: list[int] = []
    for j, kind in enumerate(kinds):
        alike = (i for i in range(j) if kinds[i] == kind and near[i] - {j} == near[j] - {i})
        first.append(next(alike, j))
    return kinds_of(first, len(kinds))


def _is_label(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)
