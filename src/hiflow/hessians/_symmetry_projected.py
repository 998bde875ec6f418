"""Null modes of a symmetry recognised by the orbit's tangents, not by how small an eigenvalue is."""

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_positive
from hiflow.energies import AbstractEnergy
from hiflow.hessians._base import AbstractHessian, free_basis, registry, restricted
from hiflow.spectrum import Modes, Spectrum


@registry.register("symmetry-projected")
class SymmetryProjected(AbstractHessian):
    r"""Another provider's Hessian with the null modes of the symmetry made exact.

    Translations are removed, as by every provider. Along a rotation $\xi$ the Hessian of an invariant
    energy satisfies $H\,\xi x = \xi\,\nabla V(x)$ (differentiate $\nabla V(gx) = g\nabla V(x)$),
    which vanishes at stationary points and, but for accidents, nowhere else. So a direction $u$ is a
    null mode if it lies in the span of the group's `tangents` *and*
    $\|Hu\| \le \text{tolerance} \cdot \|H\|$; a soft mode that is no rotation is left alone. Null
    modes get the eigenvalue 0 exactly and are marked in
    [`Spectrum.orbit`][hiflow.spectrum.Spectrum], so that paths let them relax at the
    optimal-transport rate 1.

    **Arguments:**

    - `inner`: the provider of the matrix; its operator is diagonalised densely here.
    - `tolerance`: relative to the Hessian's Frobenius norm.

    **Raises:** `ValueError` if the tolerance isn't positive, and what `inner` raises.

    **Example:**

    ```pycon
    >>> pair = hf.energies.LennardJones(2, trap=0.0)
    >>> x = jnp.array([[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]])
    >>> spectrum = hf.hessians.SymmetryProjected().spectrum(pair, x)
    >>> spectrum.eigenvalues.round(1), spectrum.orbit  # two rotations at the minimum
    (Array([144.,   0.,   0.], dtype=float32), Array([False,  True,  True], dtype=bool))
    ```
    """

    inner: AbstractHessian = eqx.field(converter=registry.make, default="dense")
    tolerance: Float[Array, ""] = eqx.field(converter=as_scalar, default=1e-4)

    def __check_init__(self):
        check_positive(self, "tolerance")

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        return self.inner(energy, x)

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        basis = free_basis(energy, x)
        reduced = restricted(self(energy, x), basis)
        tangents = _product(basis.T, energy.group.tangents(x))
        size = jnp.linalg.norm(reduced)
        null, count = self._null_modes(reduced, tangents, size)
        # Null modes are cut out and put on top of the spectrum, where eigh finds them exactly.
        cut = jnp.eye(reduced.shape[0], dtype=reduced.dtype) - _product(null, null.T)
        top = 2 * size + 1
        deflated = _product(cut, _product(reduced, cut)) + top * _product(null, null.T)
        eigenvalues, vectors = jnp.linalg.eigh((deflated + deflated.T) / 2)
        orbit = jnp.arange(eigenvalues.shape[0]) >= eigenvalues.shape[0] - count
        modes = Modes(_product(basis, vectors), size=basis.shape[1])
        return Spectrum(jnp.where(orbit, 0.0, eigenvalues), modes, orbit)

    def _null_modes(
        self,
        reduced: Float[Array, "free free"],
        tangents: Float[Array, "free generators"],
        size: Float[Array, ""],
    ) -> tuple[Float[Array, "free k"], Array]:
        """Orthonormal null modes as columns, zero columns for what is none, and their number."""
        if tangents.shape[1] == 0:
            return tangents, jnp.zeros((), int)
        U, s, _ = jnp.linalg.svd(tangents, full_matrices=False)
        U = U * (s > 1e-4 * jnp.maximum(s[0], 1e-30))
        # Within the tangent space: the directions that the Hessian stretches least. Columns that
        # depend on others are 0 now; a large entry of their own keeps them apart.
        apart = jnp.diag(jnp.where(jnp.any(U != 0, axis=0), 0, 1 + 2 * size))
        stretched = jnp.concatenate([_product(reduced, U), apart.astype(U.dtype)])
        _, stretch, Vt = jnp.linalg.svd(stretched, full_matrices=False)
        null = stretch <= self.tolerance * size
        return _product(U, Vt.T) * null, jnp.sum(null)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
