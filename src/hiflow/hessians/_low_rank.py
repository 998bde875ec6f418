"""The Hessian of an energy that knows it as a multiple of the identity plus a few dyads."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from hiflow.energies import AbstractEnergy, SupportsLowRank
from hiflow.hessians._base import AbstractHessian, low_rank_operator, refuse_symmetry, registry
from hiflow.spectrum import Spectrum, dense, low_rank


@registry.register("low-rank")
class LowRank(AbstractHessian):
    r"""Exact eigenpairs of $H = \rho I + F\,\mathrm{diag}(v)\,F^\top$, as an energy with
    [`low_rank_hessian`][hiflow.energies.SupportsLowRank] gives it.

    With $F = QR$ they are those of the small matrix $R\,\mathrm{diag}(v)\,R^\top$: $O(m^2 D)$ per point
    for $m$ factors, and no $D \times D$ matrix. Kept are the `k` whose eigenvalues are furthest from
    $\rho$; the others, which come closest to it, count as the rest. The QR decomposition chooses axes
    where factors depend on each other, so it serves energies without a symmetry only.

    **Arguments:**

    - `k`: eigenpairs; all there are if the energy has no more factors.

    **Raises:** `ValueError` if `k` isn't positive, or the energy has no such Hessian or has a symmetry.

    **Example:**

    ```pycon
    >>> x = jax.random.normal(key, (300, 6)) * jnp.array([3.0, 2.0, 1.0, 0.1, 0.1, 0.1])
    >>> fitted = hf.energies.FittedGaussian.fit(x, rank=3)
    >>> spectrum = hf.hessians.LowRank(k=2).spectrum(fitted, x[0])
    >>> spectrum.eigenvalues.shape, spectrum.modes.vectors.shape  # two, and one for the rest
    ((3,), (6, 2))
    ```
    """

    k: int = eqx.field(static=True, default=32)

    def __check_init__(self):
        if self.k < 1:
            raise ValueError(f"LowRank: `k` must be at least 1, got {self.k}.")

    def __call__(
        self, energy: AbstractEnergy, x: Float[Array, "*event"]
    ) -> lx.AbstractLinearOperator:
        return low_rank_operator(*_parts(energy, x))

    def spectrum(self, energy: AbstractEnergy, x: Float[Array, "*event"]) -> Spectrum:
        refuse_symmetry(energy, owner="LowRank")
        factors, values, rest = jax.lax.stop_gradient(_parts(energy, x))
        Q, R = jnp.linalg.qr(factors)
        inside = jnp.matmul(R * values, R.T, precision="highest")
        added, vectors = jnp.linalg.eigh((inside + inside.T) / 2)
        kept = jnp.argsort(-jnp.abs(added))[: self.k]
        vectors = jnp.matmul(Q, vectors[:, kept], precision="highest")
        eigenvalues = rest + added[kept]
        if eigenvalues.size == x.size:
            return dense(eigenvalues, vectors)
        return low_rank(eigenvalues, vectors, rest, x.size)


def _parts(energy: AbstractEnergy, x: Float[Array, "*event"]) -> tuple[Array, Array, Array]:
    if not isinstance(energy, SupportsLowRank):
        raise ValueError(
            f"LowRank needs an energy with a method `low_rank_hessian(x)`, and {type(energy).__name__} "
            "has none. Use hiflow.hessians.Lanczos()."
        )
    return energy.low_rank_hessian(x)
