"""The diagonal of the Hessian."""

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from hiflow.energies import AbstractEnergy
from hiflow.groups import Trivial
from hiflow.hessians._base import AbstractHessian
from hiflow.spectrum import Spectrum, diagonal


class Diagonal(AbstractHessian):
    """The exact diagonal, one Hessian–vector product per coordinate, in O(D) memory.

    The diagonal depends on the choice of axes, so it serves energies without a symmetry only.
    """

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        gradient = jax.grad(lambda y: energy(y.reshape(x.shape)))
        flat = x.ravel()

        def entry(i: Array) -> Array:
            direction = jnp.zeros_like(flat).at[i].set(1)
            return jax.jvp(gradient, (flat,), (direction,))[1][i]

        return lx.DiagonalLinearOperator(jax.lax.map(entry, jnp.arange(flat.size)))

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        if not isinstance(energy.group, Trivial):
            raise ValueError(
                f"Diagonal is not equivariant under {energy.group}, the symmetry of "
                f"{type(energy).__name__}: rotated data would get other paths. Use "
                "hiflow.hessians.Dense() or Analytic()."
            )
        return diagonal(jax.lax.stop_gradient(lx.diagonal(self(energy, x))))
