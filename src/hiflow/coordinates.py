r"""Internal coordinates of particles in space: bond lengths, angles and torsions.

They don't change when a molecule is shifted or turned. Each takes one configuration or any batch of
them, and differentiates wherever it is defined.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow._distances import pair_distances as pair_distances


def bond_lengths(
    x: Float[Array, "*batch particles dim"], pairs: object
) -> Float[Array, "*batch k"]:
    """The distances of the given pairs, in the coordinates' unit.

    **Arguments:**

    - `pairs`: `(k, 2)` indices of particles.

    **Raises:** `ValueError` for indices that aren't pairs of the particles.

    **Example:**

    ```pycon
    >>> x = jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    >>> hf.coordinates.bond_lengths(x, [(0, 1), (0, 2)])
    Array([1.       , 1.4142135], dtype=float32)
    ```
    """
    i, j = _columns(x, pairs, 2, "bond_lengths: `pairs`")
    return _norm(x[..., i, :] - x[..., j, :])


def angles(x: Float[Array, "*batch particles dim"], triples: object) -> Float[Array, "*batch k"]:
    r"""The angles at the middle particle of each triple, in radians, in $[0, \pi]$.

    **Arguments:**

    - `triples`: `(k, 3)` indices of particles.

    **Raises:** `ValueError` for indices that aren't triples of the particles.

    **Example:**

    ```pycon
    >>> x = jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    >>> jnp.degrees(hf.coordinates.angles(x, [(0, 1, 2)]))
    Array([90.], dtype=float32)
    ```
    """
    i, j, k = _columns(x, triples, 3, "angles: `triples`")
    a, b = x[..., i, :] - x[..., j, :], x[..., k, :] - x[..., j, :]
    a, b = (each / _norm(each)[..., None] for each in (a, b))
    # Kahan's: the cosine alone would lose half of the digits near 0 and π.
    return 2 * jnp.arctan2(_norm(a - b), _norm(a + b))


def torsions(
    x: Float[Array, "*batch particles dim"], quadruples: object
) -> Float[Array, "*batch k"]:
    r"""The torsions (dihedral angles) about the middle two particles of each quadruple, in radians, in
    $[-\pi, \pi]$: 0 for cis, positive where, seen from the second to the third, the last is turned
    clockwise from the first (IUPAC). Where three in a row lie on a line there is none, and 0 is given.

    **Arguments:**

    - `quadruples`: `(k, 4)` indices of particles.

    **Raises:** `ValueError` for indices that aren't quadruples of the particles, or outside of space.

    **Example:**

    ```pycon
    >>> x = jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    >>> jnp.degrees(hf.coordinates.torsions(x, [(0, 1, 2, 3)]))
    Array([90.], dtype=float32)
    ```
    """
    i, j, k, l = _columns(x, quadruples, 4, "torsions: `quadruples`")  # noqa: E741
    if x.shape[-1] != 3:
        raise ValueError(f"torsions: positions must be in space, got {x.shape[-1]} dimensions.")
    a, b, c = (x[..., q, :] - x[..., p, :] for p, q in ((i, j), (j, k), (k, l)))
    n, m = jnp.cross(a, b), jnp.cross(b, c)
    sine, cosine = jnp.sum(a * m, axis=-1) * _norm(b), jnp.sum(n * m, axis=-1)
    nowhere = (sine == 0) & (cosine == 0)
    return jnp.arctan2(sine, jnp.where(nowhere, 1, cosine))


def _norm(x: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
    """The length, whose gradient at 0 is 0."""
    squares = jnp.sum(x**2, axis=-1)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def _columns(x: Array, members: object, number: int, what: str) -> Any:
    index = np.asarray(members)
    if index.ndim != 2 or index.shape[1] != number or not np.issubdtype(index.dtype, np.integer):
        raise ValueError(
            f"{what} must be whole numbers of shape (k, {number}), got {index.dtype} of shape "
            f"{index.shape}."
        )
    particles = np.shape(x)[-2]
    repeated = any(len(set(row)) < number for row in index.tolist())
    if index.size and (index.min() < 0 or index.max() >= particles or repeated):
        raise ValueError(
            f"{what} must name {number} different ones of {particles} particles, 0 to {particles - 1}, "
            "in each row."
        )
    return index.T
