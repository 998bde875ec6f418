"""Distances: between the points of two sets, and of the pairs within one configuration."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def squared_distances(
    x: Float[Array, "n *event"], y: Float[Array, "m *event"]
) -> Float[Array, "n m"]:
    r"""$\|x_i - y_j\|^2$ of all pairs, by one matrix product.

    **Example:**

    ```pycon
    >>> hf.couplings.squared_distances(jnp.zeros((1, 2)), jnp.array([[3.0, 4.0], [1.0, 0.0]]))
    Array([[25.,  1.]], dtype=float32)
    ```
    """
    a, b = (z.reshape(z.shape[0], -1) for z in (x, y))
    # About their mean: far from the origin the squares would cancel to nothing.
    middle = jnp.mean(b, axis=0)
    a, b = a - middle, b - middle
    squares = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)[None, :]
    return jnp.maximum(squares - 2 * jnp.matmul(a, b.T, precision="highest"), 0)


def pair_distances(x: Float[Array, "particles dim"]) -> Float[Array, " pairs"]:
    """The distances of all pairs of particles, in the coordinates' unit.

    **Example:**

    ```pycon
    >>> x = jnp.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    >>> hf.metrics.pair_distances(x)
    Array([5.       , 1.       , 4.2426405], dtype=float32)
    ```
    """
    i, j = np.triu_indices(x.shape[0], 1)
    return jnp.linalg.norm(x[i] - x[j], axis=1)
