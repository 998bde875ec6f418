"""Distances: between the points of two sets, and of the pairs within one configuration."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def squared_distances(
    x: Float[Array, "n *event"], y: Float[Array, "m *event"]
) -> Float[Array, "n m"]:
    r"""$\|x_i - y_j\|^2$ of all pairs, by one matrix product."""
    a, b = (z.reshape(z.shape[0], -1) for z in (x, y))
    # About their mean: far from the origin the squares would cancel to nothing.
    middle = jnp.mean(b, axis=0)
    a, b = a - middle, b - middle
    squares = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)[None, :]
    return jnp.maximum(squares - 2 * jnp.matmul(a, b.T, precision="highest"), 0)


def pair_distances(x: Float[Array, "particles dim"]) -> Float[Array, " pairs"]:
    """The distances of all pairs of particles, in the coordinates' unit."""
    i, j = np.triu_indices(x.shape[0], 1)
    return jnp.linalg.norm(x[i] - x[j], axis=1)
