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

    **Example:**

    ```pycon
    >>> spectrum = hf.hessians.Dense().spectrum(ring, jnp.array([2.0, 0.0]))
    >>> spectrum.eigenvalues.round(2)  # along the ring, and across it
    Array([  0.  , 156.25], dtype=float32)
    >>> (spectrum.modes.vectors**2).round(2)
    Array([[0., 1.],
           [1., 0.]], dtype=float32)
    ```
    """

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        return symmetric(jax.hessian(lambda y: energy(y.reshape(x.shape)))(x.ravel()))

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        return _eigendecomposition(self(energy, x), energy, x)


@registry.register("analytic")
class Analytic(AbstractHessian):
    """The whole matrix from the energy's own `hessian` method: no automatic differentiation.

    **Example:**

    ```pycon
    >>> hf.hessians.Analytic().spectrum(ring, jnp.array([2.0, 0.0])).eigenvalues.round(2)
    Array([  0.  , 156.25], dtype=float32)
    >>> quartic = hf.energies.FunctionEnergy(lambda x: jnp.sum(x**4), shape=(2,))
    >>> hf.hessians.Analytic().spectrum(quartic, jnp.ones(2))
    Traceback (most recent call last):
        ...
    ValueError: Analytic needs an energy with a closed-form `hessian(x)`, and ...
    ```
    """

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
