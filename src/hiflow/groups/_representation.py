"""A finite group given by a user's own matrices."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hiflow.groups._base import registry
from hiflow.groups._finite import AbstractFiniteGroup

_LARGEST = 1_000


@registry.register("linear-representation")
class LinearRepresentation(AbstractFiniteGroup):
    r"""The group that some orthogonal matrices generate, acting on the flattened event, $x \mapsto Rx$.

    **Arguments:**

    - `generators`: `(k, dim, dim)`, or one matrix; their products are found, so either a whole group or
      a few of its elements will do.

    **Raises:** `ValueError` for matrices that aren't square and orthogonal, that generate more than
    1,000 elements, or whose size isn't the event's.

    **Example:**

    ```pycon
    >>> mirror = hf.groups.LinearRepresentation([[-1.0, 0.0], [0.0, 1.0]])
    >>> mirror.orbit(jnp.array([2.0, 1.0]))
    Array([[ 2.,  1.],
           [-2.,  1.]], dtype=float32)
    ```
    """

    # Static, because a network that holds its group would train an array.
    _matrices: tuple[Any, ...] = eqx.field(static=True, repr=False)
    _table: tuple[tuple[int, ...], ...] = eqx.field(static=True, repr=False)

    def __init__(self, generators: object):
        matrices, table = _closure(_as_matrices(generators))
        self._matrices = tuple(tuple(map(tuple, matrix)) for matrix in matrices.tolist())
        self._table = tuple(map(tuple, table.tolist()))

    @classmethod
    def example(cls) -> "LinearRepresentation":
        """Quarter turns of the plane, as `hiflow check linear-representation` takes."""
        return cls([[0.0, -1.0], [1.0, 0.0]])

    @property
    def matrices(self) -> Float[np.ndarray, "order dim dim"]:
        """All elements."""
        return np.asarray(self._matrices)

    @property
    def table(self) -> Int[np.ndarray, "order order"]:
        """Which matrix is the product of two."""
        return np.asarray(self._table)

    def orbit(self, x: Float[Array, "*event"]) -> Float[Array, "order *event"]:
        """Every matrix times the flattened event."""
        matrices = jnp.asarray(self.matrices, x.dtype)
        if x.size != matrices.shape[1]:
            raise ValueError(
                f"LinearRepresentation: the matrices are for events of {matrices.shape[1]} numbers, got "
                f"the shape {x.shape}."
            )
        return jnp.matmul(matrices, x.ravel(), precision="highest").reshape(-1, *x.shape)


def _as_matrices(generators: object) -> Float[np.ndarray, "k dim dim"]:
    matrices = np.asarray(generators, np.float64)
    matrices = matrices[None] if matrices.ndim == 2 else matrices
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or not matrices.size:
        raise ValueError(
            "LinearRepresentation: `generators` must have shape (k, dim, dim), got "
            f"{np.asarray(generators).shape}."
        )
    off = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(matrices.shape[1])).max()
    if not off < 1e-5:
        raise ValueError(
            f"LinearRepresentation: `generators` must be orthogonal, but R Rᵀ is off the identity by "
            f"{off:.3g}. Groups here keep distances; choose coordinates in which yours does."
        )
    return matrices


def _closure(
    generators: Float[np.ndarray, "k dim dim"],
) -> tuple[Float[np.ndarray, "order dim dim"], Int[np.ndarray, "order order"]]:
    """All products of the generators, and the multiplication table."""
    dim = generators.shape[1]
    elements = [np.eye(dim)]
    seen = np.empty((_LARGEST + 1, dim * dim))
    seen[0] = elements[0].ravel()
    for element in elements:
        for generator in generators:
            # Newton's step towards the nearest orthogonal matrix: errors of products don't pile up.
            product = generator @ element
            product = 1.5 * product - 0.5 * product @ product.T @ product
            # tr AᵀB = dim for equal orthogonal matrices, and less for others.
            if np.max(seen[: len(elements)] @ product.ravel()) < dim - 1e-9:
                seen[len(elements)] = product.ravel()
                elements.append(product)
            if len(elements) > _LARGEST:
                raise ValueError(
                    f"LinearRepresentation: `generators` generate more than {_LARGEST} elements. If the "
                    "group is continuous, write a group of your own."
                )
    matrices = np.stack(elements)
    products = np.einsum("aij,bjk->abik", matrices, matrices).reshape(-1, dim * dim)
    nearest = products @ matrices.reshape(-1, dim * dim).T
    return matrices, np.argmax(nearest, axis=1).reshape(len(elements), len(elements))
