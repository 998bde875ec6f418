r"""The mean Hessian $\bar H = E[\nabla^2 V]$ of thermal samples, as far as a symmetry leaves it open."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow._statistics import spread_rows
from hiflow._summaries import Component
from hiflow.groups import AbstractGroup, Permutation, Product, Rotation
from hiflow.priors._shrinkage import shrunk

# Of how many points the mean is taken at most, at even distances.
_ROWS = 20_000
# Above, a matrix over all coordinates costs more in a step than it could save.
_LARGEST = 1_024


class MeanHessian(Component):
    r"""$\bar H = Q\,\mathrm{diag}(h)\,Q^\top \otimes I$ on the directions that the symmetry leaves free.

    The matrix is over the first $m$ parts of the flattened event: over all coordinates, over particles
    ($m = N$, the same along every axis), or $m = 1$ for a number.

    **Arguments:**

    - `values`: $h$. - `vectors`: $Q$, the eigenvectors as columns.

    **Example:**

    ```pycon
    >>> mean = hf.targets.MeanHessian(jnp.array([1.0, 4.0]), jnp.eye(2))
    >>> mean.mean
    Array(2.5, dtype=float32)
    >>> mean.solve(jnp.asarray(1.0), jnp.asarray(1.0), jnp.ones(2))
    Array([0.5, 0.2], dtype=float32)
    ```
    """

    values: Float[Array, " k"]
    vectors: Float[Array, "m k"]

    def solve(
        self, weight: Float[Array, ""], level: Float[Array, ""], y: Float[Array, "*event"]
    ) -> Float[Array, "*event"]:
        r"""$(w\bar H + \ell P)^{-1} y$ of a `y` in the free directions."""
        # Where both vanish, at the start of a bridge, so does y.
        tiny = jnp.finfo(y.dtype).tiny
        parts = y.reshape(self.vectors.shape[0], -1)
        along = jnp.matmul(self.vectors.T, parts, precision="highest")
        along = along / jnp.maximum(weight * self.values + level, tiny)[:, None]
        return jnp.matmul(self.vectors, along, precision="highest").reshape(y.shape)

    @property
    def mean(self) -> Float[Array, ""]:
        r"""$\operatorname{tr}\bar H$ per free direction."""
        return jnp.mean(self.values)


def estimated(
    gradients: Float[Array, "n *event"] | Float[np.ndarray, "n *event"],
    group: AbstractGroup,
    *,
    scalar: bool,
) -> MeanHessian:
    r"""From the gradients at thermal samples, by parts: $\bar H = E[\nabla V\nabla V^\top]$.

    What the group leaves open is estimated: rotations make it $M \otimes I$ with $M$ of $N \times N$,
    exchanges of identical particles average $M$ over their places. It is shrunk towards a multiple of
    the identity as Ledoit and Wolf have it.

    **Arguments:**

    - `scalar`: only a number, $E\|\nabla V\|^2$ per free direction.
    """
    F = np.asarray(gradients[spread_rows(len(gradients), _ROWS)], np.float64)
    event, free = F.shape[1:], F[0].size - _null(group, F.shape[1:], F[0].size).shape[1]
    number = np.mean(np.sum(F.reshape(len(F), -1) ** 2, axis=1)) / free
    parts = 1 if scalar else parts_of(group, event)
    if parts == 1:
        return _number(number)
    B = _free(group, event, parts)
    along = np.moveaxis(F.reshape(len(F), parts, -1), 1, 2).reshape(-1, parts)
    M = B @ shrunk(along @ B, None, "ForceControlled") @ B.T
    return _decomposed(_averaged(M, group, event), B)


def given(matrix: np.ndarray, group: AbstractGroup, event: tuple[int, ...]) -> MeanHessian:
    """A number, or a matrix over particles or over all coordinates.

    **Raises:** `ValueError` for another shape, and for a matrix that isn't symmetric and positive
    definite in the free directions.
    """
    matrix = np.asarray(matrix, np.float64)
    if matrix.ndim == 0:
        return _number(float(matrix))
    sizes = {int(np.prod(event)), event[0] if len(event) > 1 else 0} - {0}
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) not in sizes:
        shapes = " or ".join(f"({size}, {size})" for size in sorted(sizes))
        raise ValueError(
            f"ForceControlled: `mean_hessian` must be a number or of shape {shapes} for events of shape "
            f"{event}; got {matrix.shape}."
        )
    if not np.allclose(matrix, matrix.T, atol=1e-4 * np.abs(matrix).max()):
        raise ValueError("ForceControlled: `mean_hessian` must be symmetric.")
    found = _decomposed(matrix, _free(group, event, len(matrix)))
    if not float(jnp.min(found.values)) > 0:
        raise ValueError(
            "ForceControlled: `mean_hessian` must be positive definite in the directions that the "
            f"symmetry leaves free; got a least eigenvalue of {float(jnp.min(found.values)):.3g}."
        )
    return found


def parts_of(group: AbstractGroup, event: tuple[int, ...]) -> int:
    """Over how many parts of the event the group leaves a matrix open."""
    factors = group.groups if isinstance(group, Product) else (group,)
    dim = int(np.prod(event))
    turned = any(isinstance(each, Rotation) and each.dim > 1 for each in factors)
    if not turned or len(event) != 2:
        return dim if dim <= _LARGEST else 1
    kinds = _kinds(group, event)
    return 1 if len(np.unique(kinds)) == 1 or event[0] > _LARGEST else event[0]


def _kinds(group: AbstractGroup, event: tuple[int, ...]) -> np.ndarray:
    """A number per particle: equal ones may be exchanged."""
    factors = group.groups if isinstance(group, Product) else (group,)
    exchanges = [each for each in factors if isinstance(each, Permutation)]
    return exchanges[0].kinds(event) if exchanges else np.arange(event[0])


def _averaged(M: np.ndarray, group: AbstractGroup, event: tuple[int, ...]) -> np.ndarray:
    """Over the exchanges that the group allows, of a matrix over particles."""
    if len(event) != 2 or len(M) != event[0]:
        return M
    kinds = _kinds(group, event)
    found = np.empty_like(M)
    same = np.eye(len(M), dtype=bool)
    for a in np.unique(kinds):
        for b in np.unique(kinds):
            block = (kinds[:, None] == a) & (kinds[None] == b)
            for part in (block & same, block & ~same):
                if part.any():
                    found[part] = M[part].mean()
    return found


def _decomposed(M: np.ndarray, B: np.ndarray) -> MeanHessian:
    values, V = np.linalg.eigh(B.T @ M @ B)
    dtype = jnp.result_type(float)
    return MeanHessian(jnp.asarray(values, dtype), jnp.asarray(B @ V, dtype))


def _number(value: float) -> MeanHessian:
    dtype = jnp.result_type(float)
    return MeanHessian(jnp.full(1, value, dtype), jnp.ones((1, 1), dtype))


def _null(group: AbstractGroup, event: tuple[int, ...], parts: int) -> np.ndarray:
    """An orthonormal basis of the parts' directions that the group removes."""
    modes = np.asarray(group.null_modes(jnp.zeros(event)), np.float64)
    columns = modes.reshape(parts, -1)
    U, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return U[:, sizes > 1e-4]


def _free(group: AbstractGroup, event: tuple[int, ...], parts: int) -> np.ndarray:
    """An orthonormal basis of the others."""
    null = _null(group, event, parts)
    return np.linalg.qr(null, mode="complete")[0][:, null.shape[1] :]
