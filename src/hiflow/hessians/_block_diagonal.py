"""The diagonal blocks of the Hessian."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from hiflow.energies import AbstractEnergy
from hiflow.hessians._base import AbstractHessian, products, refuse_symmetry, registry
from hiflow.spectrum import Spectrum, blocks


@registry.register("block-diagonal")
class BlockDiagonal(AbstractHessian):
    """The exact blocks on the diagonal, each of `block` successive coordinates of the flattened event:
    of an image, rows or parts of rows.

    Costs one Hessian–vector product per coordinate, and O(block · D) memory for a point's anchor. What
    couples the blocks is left out. It depends on the choice of axes, so it serves energies without a
    symmetry only.

    **Arguments:**

    - `block`: coordinates per block; it must divide their number.

    **Raises:** `ValueError` if it isn't positive or doesn't divide the dimension, or the energy has a
    symmetry.

    **Example:**

    ```pycon
    >>> normal = hf.energies.Gaussian(jnp.zeros(4), [1.0, 10.0, 2.0, 20.0])
    >>> spectrum = hf.hessians.BlockDiagonal(block=2).spectrum(normal, jnp.ones(4))
    >>> spectrum.eigenvalues, spectrum.modes.vectors.shape
    (Array([ 1., 10.,  2., 20.], dtype=float32), (2, 2, 2))
    ```
    """

    block: int = eqx.field(static=True)

    def __check_init__(self):
        if self.block < 1:
            raise ValueError(f"BlockDiagonal: `block` must be at least 1, got {self.block}.")

    @classmethod
    def example(cls) -> "BlockDiagonal":
        """A small instance, as `hiflow check block-diagonal` takes without arguments."""
        return cls(2)

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        matrices = self._blocks(energy, x)

        def product(v: Array) -> Array:
            parts = v.reshape(-1, self.block)
            return jnp.einsum("nij,nj->ni", matrices, parts, precision="highest").ravel()

        like = jax.ShapeDtypeStruct((x.size,), x.dtype)
        return lx.FunctionLinearOperator(product, like, lx.symmetric_tag)

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        refuse_symmetry(energy, owner="BlockDiagonal")
        return blocks(*jnp.linalg.eigh(jax.lax.stop_gradient(self._blocks(energy, x))))

    def _blocks(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> Float[Array, "blocks b b"]:
        if x.size % self.block:
            raise ValueError(
                f"BlockDiagonal: `block` must divide the {x.size} coordinates of an event, got "
                f"{self.block}."
            )
        product = products(energy, x)

        def block_at(start: Array) -> Array:
            def row(i: Array) -> Array:
                image = product(jnp.zeros(x.size, x.dtype).at[start + i].set(1))
                return jax.lax.dynamic_slice_in_dim(image, start, self.block)

            matrix = jax.vmap(row)(jnp.arange(self.block))
            return (matrix + matrix.T) / 2

        return jax.lax.map(block_at, jnp.arange(0, x.size, self.block))
