"""The Gauss–Newton approximation of the Hessian of a sum of squares."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from hiflow.energies import AbstractEnergy, SupportsResiduals
from hiflow.hessians._base import AbstractHessian, free_basis, registry
from hiflow.spectrum import Spectrum, dense, low_rank


@registry.register("gauss-newton")
class GaussNewton(AbstractHessian):
    r"""$H \approx J^\top J$ with the Jacobian $J$ of the residuals $r$ of $V = \tfrac12\|r\|^2$.

    First derivatives only, and positive semi-definite everywhere. What it leaves out is
    $\sum_i r_i \nabla^2 r_i$: it is exact where the residuals vanish or are linear. With fewer
    residuals than free directions the spectrum is low-rank, with 0 for the rest, and unless the group
    has null modes no $D \times D$ matrix is formed: $O(m^2 D)$ for $m$ residuals.

    **Example:**

    ```pycon
    >>> x = jnp.array([2.1, 0.0])
    >>> hf.hessians.GaussNewton()(ring, x).as_matrix().round(2)  # never negative
    Array([[156.25,   0.  ],
           [  0.  ,   0.  ]], dtype=float32)
    ```
    """

    approximate: ClassVar[bool] = True

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        J = _jacobian(energy, x)
        tags = (lx.symmetric_tag, lx.positive_semidefinite_tag)
        return lx.MatrixLinearOperator(jnp.matmul(J.T, J, precision="highest"), tags)

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        J = jax.lax.stop_gradient(_jacobian(energy, x))
        # Without null modes the basis would be an identity of the size that is to be avoided.
        basis = free_basis(energy, x) if energy.group.null_modes(x).shape[1] else None
        if basis is not None:
            J = jnp.matmul(J, basis, precision="highest")
        m, free = J.shape
        _, singular, Vt = jnp.linalg.svd(J, full_matrices=False)
        vectors = Vt.T if basis is None else jnp.matmul(basis, Vt.T, precision="highest")
        if m >= free:
            return dense(singular**2, vectors)
        return low_rank(singular**2, vectors, jnp.zeros((), J.dtype), free)


def _jacobian(energy: AbstractEnergy, x: Float[Array, "*event"]) -> Float[Array, "m dim"]:
    if not isinstance(energy, SupportsResiduals):
        raise ValueError(
            f"GaussNewton needs an energy that is a sum of squares with a method `residuals(x)`, and "
            f"{type(energy).__name__} has none. Use hiflow.hessians.Dense()."
        )
    residuals = energy.residuals
    flat = x.ravel()

    def r(y: Array) -> Array:
        return residuals(y.reshape(x.shape))

    # One pass per residual or per coordinate, whichever are fewer.
    few = jax.eval_shape(r, flat).size < flat.size
    return (jax.jacrev if few else jax.jacfwd)(r)(flat)
