"""Molecules that a periodic cell has cut, put together again."""

import numpy as np
from jaxtyping import Float, Int


def made_whole(
    positions: Float[np.ndarray, "frames atoms 3"],
    cells: Float[np.ndarray, "frames 3 3"],
    subject: str,
) -> Float[np.ndarray, "frames atoms 3"]:
    """Every atom at the image that is nearest to its neighbour in the shortest tree that connects the
    atoms of the first frame: for one molecule, or several that keep together.

    **Raises:** `ValueError` if a frame's atoms don't hang together within half a cell, or hang together
    with their own images, as those of a crystal or a liquid do.
    """
    volumes = np.abs(np.linalg.det(cells))
    if not (volumes > 0).all():
        raise ValueError(f"{subject}: frame {int(np.argmin(volumes))} has a cell without volume.")
    parents, order = _shortest_tree(positions[0], cells[0])
    whole = positions.copy()
    longest = np.zeros(len(positions))
    for atom in order:
        link = _nearest_image(whole[:, atom] - whole[:, parents[atom]], cells)
        whole[:, atom] = whole[:, parents[atom]] + link
        longest = np.maximum(longest, np.linalg.norm(link, axis=-1))
    narrow = (volumes[:, None] / _faces(cells)).min(axis=1)
    loose = longest >= narrow / 2
    if loose.any():
        raise ValueError(
            f"{subject}: the atoms of frame {int(np.argmax(loose))} don't hang together within half of "
            "its periodic cell, so that it isn't known which images belong together. Make the molecule "
            "whole in the program that wrote the file, and write it without a cell."
        )
    _refuse_condensed(whole[0], cells[0], longest[0], subject)
    return whole


def _refuse_condensed(x: np.ndarray, cell: np.ndarray, longest: float, subject: str) -> None:
    shifts = np.array([s for s in np.ndindex(3, 3, 3) if s != (1, 1, 1)]) - 1
    offset = x[:, None] - x[None]
    contacts = np.linalg.norm(offset[:, :, None] + (shifts @ cell)[None, None], axis=-1)
    if contacts.min() <= 1.2 * longest:
        raise ValueError(
            f"{subject}: atoms are as near to periodic images of others ({contacts.min():.3g}) as the "
            f"molecule's own are to each other ({longest:.3g}): a crystal or a liquid. Energies here "
            "are those of isolated systems; set pbc to False if it is one."
        )


def _shortest_tree(
    x: Float[np.ndarray, "atoms 3"], cell: Float[np.ndarray, "3 3"]
) -> tuple[Int[np.ndarray, " atoms"], list[int]]:
    """The parent of every atom, and an order in which parents come first (Prim's algorithm)."""
    n = len(x)
    distance = np.linalg.norm(_nearest_image(x[:, None] - x[None], cell), axis=-1)
    parents, reach = np.zeros(n, int), distance[0].copy()
    left, order = set(range(1, n)), []
    while left:
        atom = min(left, key=lambda k: reach[k])
        left.remove(atom)
        order.append(atom)
        closer = distance[atom] < reach
        closer[[0, *order]] = False
        parents[closer], reach[closer] = atom, distance[atom][closer]
    return parents, order


def _nearest_image(
    offset: Float[np.ndarray, "*points 3"], cells: Float[np.ndarray, "*frames 3 3"]
) -> Float[np.ndarray, "*points 3"]:
    """Right for offsets within half the cell's width, whatever its angles."""
    shares = np.einsum("...i,...ij->...j", offset, np.linalg.inv(cells))
    return np.einsum("...i,...ij->...j", shares - np.round(shares), cells)


def _faces(cells: Float[np.ndarray, "frames 3 3"]) -> Float[np.ndarray, "frames 3"]:
    """The areas of the cell's faces."""
    a, b, c = cells[:, 0], cells[:, 1], cells[:, 2]
    return np.linalg.norm(np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], 1), axis=-1)
