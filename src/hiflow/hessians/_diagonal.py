"""The diagonal of the Hessian, exact or estimated."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from hiflow.energies import AbstractEnergy
from hiflow.hessians._base import AbstractHessian, products, refuse_symmetry, registry
from hiflow.spectrum import Spectrum, diagonal


@registry.register("diagonal")
class Diagonal(AbstractHessian):
    """The exact diagonal, one Hessian–vector product per coordinate, in O(D) memory.

    The diagonal depends on the choice of axes, so it serves energies without a symmetry only.

    **Example:**

    ```pycon
    >>> normal = hf.energies.Gaussian(jnp.zeros(3), [1.0, 10.0, 100.0])
    >>> hf.hessians.Diagonal().spectrum(normal, jnp.ones(3)).eigenvalues
    Array([  1.,  10., 100.], dtype=float32)
    ```
    """

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        product = products(energy, x)

        def entry(i: Array) -> Array:
            return product(jnp.zeros(x.size, x.dtype).at[i].set(1))[i]

        return lx.DiagonalLinearOperator(jax.lax.map(entry, jnp.arange(x.size)))

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        refuse_symmetry(energy, owner="Diagonal")
        return diagonal(jax.lax.stop_gradient(lx.diagonal(self(energy, x))))


@registry.register("estimated-diagonal")
class EstimatedDiagonal(AbstractHessian):
    r"""The diagonal from a few Hessian–vector products with random signs, whatever the dimension
    (Bekas, Kokiopoulou and Saad, Appl. Numer. Math. 57, 2007).

    $\frac1p \sum_i z_i \odot Hz_i$ has the diagonal as its mean, and per entry the variance
    $\frac1p \sum_{j \ne i} H_{ij}^2$: it is exact if the Hessian is diagonal. The signs are the same for
    every point, and depend on the choice of axes, so it serves energies without a symmetry only.

    **Arguments:**

    - `probes`: $p$, the number of products.

    **Raises:** `ValueError` if there are no probes, or the energy has a symmetry.

    **Example:**

    ```pycon
    >>> normal = hf.energies.Gaussian(jnp.zeros(3), [1.0, 10.0, 100.0])
    >>> estimate = hf.hessians.EstimatedDiagonal(probes=4)
    >>> estimate.spectrum(normal, jnp.ones(3)).eigenvalues  # exact, as the Hessian is diagonal
    Array([  1.,  10., 100.], dtype=float32)
    ```
    """

    approximate: ClassVar[bool] = True

    probes: int = eqx.field(static=True, default=16)

    def __check_init__(self):
        if self.probes < 1:
            raise ValueError(f"EstimatedDiagonal: `probes` must be at least 1, got {self.probes}.")

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        product = products(energy, x)
        signs = jax.random.rademacher(jax.random.key(0), (self.probes, x.size), x.dtype)

        def add(total: Array, z: Array) -> tuple[Array, None]:
            return total + z * product(z), None

        total, _ = jax.lax.scan(add, jnp.zeros(x.size, x.dtype), signs)
        return lx.DiagonalLinearOperator(total / self.probes)

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        refuse_symmetry(energy, owner="EstimatedDiagonal")
        return diagonal(jax.lax.stop_gradient(lx.diagonal(self(energy, x))))
