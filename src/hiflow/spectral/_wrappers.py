"""Spectral maps around another: normalisation by the trace, and the controls of an honest ablation."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_at_least, check_below
from hiflow.spectral._base import AbstractSpectralMap, registry


@registry.register("trace-normalised")
class TraceNormalised(AbstractSpectralMap):
    r"""$a = \ell + (1-\ell)\, k/\bar k$ with $\bar k$ the mean of the inner map's values $k$.

    The rates sum to $D$, so the flow contracts volume exactly as fast as optimal transport's, and none
    is below the `floor` $\ell$. The default keeps the regression target's variance finite (rates above
    ½); with `floor=0` the ratios of the inner rates are kept, and the time transform needs a cutoff.

    **Example:**

    ```pycon
    >>> rates = hf.spectral.TraceNormalised(hf.spectral.Absolute(shift=1.0), floor=0.55)
    >>> a = rates(jnp.array([-5.0, 0.5, 100.0]))
    >>> a.round(2), a.mean()  # as much contraction as optimal transport has
    (Array([0.62, 0.57, 1.81], dtype=float32), Array(1., dtype=float32))
    ```
    """

    inner: AbstractSpectralMap = eqx.field(converter=registry.make, default="absolute")
    floor: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.55)

    def __check_init__(self):
        check_at_least(self, "floor", 0.0)
        check_below(self, "floor", 1.0)

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        values = self.inner(eigenvalues)
        return self.floor + (1 - self.floor) * values / jnp.mean(values)

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.floor


@registry.register("raised")
class Raised(AbstractSpectralMap):
    r"""$k^p$ of the inner map's values $k$.

    As rates of a Langevin path with curvature $K$ = `inner` it is the mobility $M = K^{p-1}$, between
    Newton's ($p = 0$: all modes relax together) and the physical one ($p = 1$, $M = I$). Wrap it in
    [`TraceNormalised`][hiflow.spectral.TraceNormalised] to keep the pace of optimal transport.

    **Example:**

    ```pycon
    >>> stiff = hf.spectral.Absolute(shift=1.0)
    >>> hf.spectral.Raised(stiff, exponent=0.5)(jnp.array([-3.0, 0.0, 99.0]))
    Array([ 2.,  1., 10.], dtype=float32)
    ```
    """

    inner: AbstractSpectralMap = eqx.field(converter=registry.make, default="absolute")
    exponent: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.5)

    def __check_init__(self):
        check_at_least(self, "exponent", 0.0)

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        return self.inner(eigenvalues) ** self.exponent

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.inner.lower_bound**self.exponent


@registry.register("mean-rate")
class MeanRate(AbstractSpectralMap):
    """Control: the mean of the inner map's values for every mode. The trace is kept, the anisotropy
    is gone.

    **Example:**

    ```pycon
    >>> hf.spectral.MeanRate(hf.spectral.Absolute(shift=1.0))(jnp.array([1.0, 3.0, 95.0]))
    Array([34., 34., 34.], dtype=float32)
    ```
    """

    inner: AbstractSpectralMap = eqx.field(converter=registry.make, default="absolute")

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        return jnp.broadcast_to(jnp.mean(self.inner(eigenvalues)), eigenvalues.shape)

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.inner.lower_bound


@registry.register("shuffled")
class Shuffled(AbstractSpectralMap):
    """Control: the inner map's values, handed to the wrong modes. The spectrum is kept, the
    information in its directions is gone.

    The values move on by half the number of modes (in two dimensions they swap), so no mode keeps its
    own and the result is deterministic. Equal eigenvalues share the mean of what they are handed:
    their eigenvectors are any basis of one space, on which nothing may depend.

    **Example:**

    ```pycon
    >>> hf.spectral.Shuffled(hf.spectral.Absolute(shift=1.0))(jnp.array([1.0, 3.0, 95.0]))
    Array([96.,  2.,  4.], dtype=float32)
    ```
    """

    inner: AbstractSpectralMap = eqx.field(converter=registry.make, default="absolute")

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        moved = jnp.roll(self.inner(eigenvalues), max(1, eigenvalues.shape[0] // 2))
        gaps = jnp.abs(eigenvalues[:, None] - eigenvalues[None, :])
        equal = gaps <= 1e-5 * jnp.max(jnp.abs(eigenvalues), initial=0.0)
        return jnp.matmul(equal, moved, precision="highest") / jnp.sum(equal, axis=1)

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.inner.lower_bound
