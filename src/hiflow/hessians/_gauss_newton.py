"""The Gauss–Newton approximation of the Hessian of a sum of squares."""

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from hiflow.energies import AbstractEnergy, SupportsResiduals
from hiflow.hessians._base import AbstractHessian, free_basis
from hiflow.spectrum import Spectrum, dense, low_rank


class GaussNewton(AbstractHessian):
    r"""$H \approx J^\top J$ with the Jacobian $J$ of the residuals $r$ of $V = \tfrac12\|r\|^2$.

    First derivatives only, and positive semi-definite everywhere. What it leaves out is
    $\sum_i r_i \nabla^2 r_i$: it is exact where the residuals vanish or are linear. With fewer
    residuals than free directions the spectrum is low-rank, with 0 for the rest, and no $D \times D$
    matrix is formed.
    """

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        J = _jacobian(energy, x)
        tags = (lx.symmetric_tag, lx.positive_semidefinite_tag)
        return lx.MatrixLinearOperator(jnp.matmul(J.T, J, precision="highest"), tags)

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        basis = free_basis(energy, x)
        J = jax.lax.stop_gradient(jnp.matmul(_jacobian(energy, x), basis, precision="highest"))
        m, free = J.shape
        _, singular, Vt = jnp.linalg.svd(J, full_matrices=m >= free)
        vectors = jnp.matmul(basis, Vt.T, precision="highest")
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
    return jax.jacfwd(lambda y: residuals(y.reshape(x.shape)))(x.ravel())
