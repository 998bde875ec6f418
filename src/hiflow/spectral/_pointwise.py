"""Spectral maps that treat every eigenvalue alone."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_at_least, check_finite, check_positive
from hiflow.spectral._base import AbstractSpectralMap, registry


@registry.register("constant", formerly="identity")
class Constant(AbstractSpectralMap):
    r"""The same `value` for every mode. As rates, 1 is optimal-transport flow matching; as curvature it
    makes the isotropic end law $N(x_1, I/\beta)$.

    **Example:**

    ```pycon
    >>> hf.spectral.Constant(value=1.0)(jnp.array([-5.0, 0.5, 100.0]))  # as rates: OT-FM
    Array([1., 1., 1.], dtype=float32)
    ```
    """

    value: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def __check_init__(self):
        check_positive(self, "value")

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        return jnp.full_like(eigenvalues, self.value)

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.value


@registry.register("absolute")
class Absolute(AbstractSpectralMap):
    r"""$|\lambda| + h$: saddles count like wells, and `shift` $h > 0$ bounds the widest mode.

    **Example:**

    ```pycon
    >>> hf.spectral.Absolute(shift=1.0)(jnp.array([-5.0, 0.5, 100.0]))
    Array([  6. ,   1.5, 101. ], dtype=float32)
    ```
    """

    shift: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def __check_init__(self):
        check_positive(self, "shift")

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        return jnp.abs(eigenvalues) + self.shift

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.shift


@registry.register("clamped")
class Clamped(AbstractSpectralMap):
    r"""$\max(\lambda, \text{floor})$: negative curvature is taken as soft.

    **Example:**

    ```pycon
    >>> hf.spectral.Clamped(floor=1.0)(jnp.array([-5.0, 0.5, 100.0]))
    Array([  1.,   1., 100.], dtype=float32)
    ```
    """

    floor: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def __check_init__(self):
        check_positive(self, "floor")

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        return jnp.maximum(eigenvalues, self.floor)

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.floor


@registry.register("shifted")
class Shifted(AbstractSpectralMap):
    r"""$\lambda + \mu$, for energies whose curvature is bounded below by `least`.

    An eigenvalue below `least` becomes NaN, which the making of anchors reports.

    **Example:**

    ```pycon
    >>> hf.spectral.Shifted(shift=6.0)(jnp.array([0.0, 0.5, 100.0]))
    Array([  6. ,   6.5, 106. ], dtype=float32)
    ```
    """

    shift: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    least: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.0)

    def __check_init__(self):
        check_finite(self, "shift", "least")
        check_positive(self, "lower_bound")

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        # Rounding puts the null modes of a convex energy a hair below zero.
        slack = 1e-5 * (1 + jnp.max(jnp.abs(eigenvalues)))
        allowed = eigenvalues >= self.least - slack
        return jnp.where(allowed, jnp.maximum(eigenvalues, self.least) + self.shift, jnp.nan)

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.least + self.shift


@registry.register("power")
class Power(AbstractSpectralMap):
    r"""$\max(|\lambda|, \text{least})^p$: $p = ½$ are the frequencies of the modes.

    **Example:**

    ```pycon
    >>> hf.spectral.Power(exponent=0.5)(jnp.array([-4.0, 0.5, 100.0]))
    Array([ 2.,  1., 10.], dtype=float32)
    ```
    """

    exponent: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.5)
    least: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def __check_init__(self):
        check_positive(self, "exponent", "least")

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        return jnp.maximum(jnp.abs(eigenvalues), self.least) ** self.exponent

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.least**self.exponent


@registry.register("saturating")
class Saturating(AbstractSpectralMap):
    r"""As rates: stiff directions relax up to $1+\kappa$ times faster than soft ones.

    $a(\lambda) = 1 + \kappa\,\lambda_+/(\lambda_+ + h_0)$ with $h_0$ the `stiffness` at which half of
    the gain is reached: negative curvature keeps the optimal-transport rate 1, so every rate lies
    between 1 and $1+\kappa$.

    **Example:**

    ```pycon
    >>> rates = hf.spectral.Saturating(kappa=1.0, stiffness=100.0)
    >>> rates(jnp.array([-5.0, 0.0, 100.0, 900.0]))
    Array([1. , 1. , 1.5, 1.9], dtype=float32)
    >>> path = hf.paths.Linearised(ring, rates=rates)
    ```
    """

    kappa: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    stiffness: Float[Array, ""] = eqx.field(converter=as_scalar, default=100.0)

    def __check_init__(self):
        check_positive(self, "stiffness")
        check_at_least(self, "kappa", -0.5)

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        stiff = jnp.maximum(eigenvalues, 0)
        return 1 + self.kappa * stiff / (stiff + self.stiffness)

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return 1 + jnp.minimum(self.kappa, 0)
