"""Hessians as whole matrices: by automatic differentiation or in closed form."""

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from hiflow.energies import AbstractEnergy, SupportsHessian
from hiflow.hessians._base import AbstractHessian, free_basis, registry, restricted, symmetric
from hiflow.spectrum import Spectrum, dense


def _eigendecomposition(
    operator: lx.AbstractLinearOperator, energy: AbstractEnergy, x: Float[Array, "*event"]
) -> Spectrum:
    basis = free_basis(energy, x)
    eigenvalues, vectors = jnp.linalg.eigh(restricted(operator, basis))
    return dense(eigenvalues, jnp.matmul(basis, vectors, precision="highest"))


@registry.register("dense")
class Dense(AbstractHessian):
    """The whole matrix by forward-over-reverse automatic differentiation, for any energy.

    Costs D Hessian–vector products and a D×D eigendecomposition per point.
    """

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        return symmetric(jax.hessian(lambda y: energy(y.reshape(x.shape)))(x.ravel()))

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        return _eigendecomposition(self(energy, x), energy, x)


@registry.register("analytic")
class Analytic(AbstractHessian):
    """The whole matrix from the energy's own `hessian` method: no automatic differentiation."""

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        if not isinstance(energy, SupportsHessian):
            raise ValueError(
                f"Analytic needs an energy with a closed-form `hessian(x)`, and "
                f"{type(energy).__name__} has none. Use hiflow.hessians.Dense()."
            )
        return symmetric(energy.hessian(x))

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        return _eigendecomposition(self(energy, x), energy, x)
