"""Isotropic paths: every direction alike, no energy needed."""

import math
from typing import TYPE_CHECKING, ClassVar, cast

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hiflow import groups, times
from hiflow._checks import as_scalar, check_at_least, check_positive, is_concrete
from hiflow.paths._base import AbstractGaussianPath, SpectralAnchor, registry
from hiflow.spectrum import Modes


class AbstractIsotropicPath(AbstractGaussianPath):
    """A Gaussian path with one mean weight and one scale for all directions.

    `group` only says which directions a density is normalised over (`log_prob` counts them).

    **Example:**

    ```pycon
    >>> import equinox as eqx
    >>> class Late(hf.paths.AbstractIsotropicPath):
    ...     prior_scale: jax.Array = eqx.field(converter=jnp.asarray, default=1.0)
    ...     group: hf.groups.AbstractGroup = hf.groups.Trivial()
    ...     def schedule(self, t, frame):
    ...         left = (1 - t**2) * frame.speeds
    ...         return left, left * self.prior_scale
    ...
    >>> Late().flow(jnp.zeros(2), jnp.array([2.0, 0.0]), jnp.asarray(0.5))
    Array([0.5, 0. ], dtype=float32)
    ```
    """

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        group = cast(groups.AbstractGroup, ...)
    else:
        group: eqx.AbstractVar[groups.AbstractGroup]

    def anchor(self, x1: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """The point alone."""
        return x1

    def frame(self, anchor: PyTree) -> SpectralAnchor:
        """The point, in a basis that needs no vectors."""
        free = anchor.size - self.group.null_modes(anchor).shape[1]
        return SpectralAnchor(anchor, Modes(size=free), jnp.ones(1, anchor.dtype))

    def noise_level(self, t: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        r"""$1 - \alpha_t$ and $\sigma_t$: the noise is $\varepsilon = x_0/s_0$."""
        nowhere = SpectralAnchor(jnp.zeros(1, t.dtype), Modes(), jnp.ones(1, t.dtype))
        alpha, sigma = self.schedule(t, nowhere)
        return 1 - alpha[0], sigma[0]

    def standard_noise(self, x0: Float[Array, "*event"], anchor: PyTree) -> Float[Array, "*event"]:
        r"""$\varepsilon$."""
        return x0 / self.prior_scale


@registry.register("optimal-transport")
class OptimalTransport(AbstractIsotropicPath):
    r"""Straight lines at constant speed: $x_t = (1-t)x_0 + t x_1$.

    Lipman et al. (2023), arXiv:2210.02747, with $\sigma_{\min} = 0$ by default; otherwise
    $x_t = (1 - (1-\sigma_{\min})t)x_0 + t x_1$.

    **Example:**

    ```pycon
    >>> path = hf.paths.OptimalTransport()
    >>> x0, x1 = jnp.array([0.0, 0.0]), jnp.array([2.0, 1.0])
    >>> path.flow_and_velocity(x0, path.anchor(x1), jnp.asarray(0.5))
    (Array([1. , 0.5], dtype=float32), Array([2., 1.], dtype=float32))
    ```
    """

    sigma_min: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.0)
    prior_scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    group: groups.AbstractGroup = eqx.field(converter=groups.registry.make, default="trivial")

    def __check_init__(self):
        check_at_least(self, "sigma_min", 0.0)
        check_positive(self, "prior_scale")

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        alpha = (1 - t) * frame.speeds
        return alpha, self.prior_scale * (alpha + self.sigma_min * t)


@registry.register("stable")
class Stable(AbstractIsotropicPath):
    r"""Stable flow matching: $x_t = x_1 + e^{-a\tau(t)}(x_0 - x_1)$ with one rate $a$ for all modes.

    Sprague, Elofsson and Azizpour (2024), arXiv:2402.05774, where $a = \lambda_x/\lambda_\tau$; $a = 1$
    with `LogTime` is optimal transport.

    **Example:**

    ```pycon
    >>> path = hf.paths.Stable(rate=2.0)
    >>> x0, x1 = jnp.array([0.0, 0.0]), jnp.array([2.0, 1.0])
    >>> path.flow(x0, path.anchor(x1), jnp.asarray(0.5))  # three quarters of the way
    Array([1.5 , 0.75], dtype=float32)
    ```
    """

    rate: Float[Array, ""] = eqx.field(converter=as_scalar, default=2.0)
    time: times.AbstractTimeTransform = eqx.field(converter=times.registry.make, default="log")
    prior_scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    group: groups.AbstractGroup = eqx.field(converter=groups.registry.make, default="trivial")

    def __check_init__(self):
        check_positive(self, "rate", "prior_scale")
        concrete = is_concrete(self.rate, self.time.cutoff)
        if concrete and self.rate <= 0.5 and self.time.cutoff == 0:
            raise ValueError(
                f"Stable: `rate` must exceed 1/2 unless the time transform has a cutoff, or the "
                f"regression target has infinite variance at t = 1; got {self.rate}."
            )

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        alpha = self.time.decay(t, self.rate * frame.speeds)
        return alpha, self.prior_scale * alpha


@registry.register("variance-preserving")
class VariancePreserving(AbstractIsotropicPath):
    r"""The variance-preserving diffusion path: $x_t = m_t x_1 + s_0\sqrt{1 - m_t^2}\,\varepsilon$ with
    $m_t = e^{-T(1-t)/2}$, $T(s) = s\beta_{\min} + \tfrac12 s^2(\beta_{\max} - \beta_{\min})$.

    Song et al. (2021), arXiv:2011.13456; Lipman et al. (2023), eq. 19. At $t = 0$ a weight of
    $m_0 = e^{-T(1)/2}$ is left of $x_1$ (0.7 % by default), so it starts close to the prior, not at it.
    It stops at noise level $s =$ `cutoff`, since the target's variance grows like $\ln s$.

    **Example:**

    ```pycon
    >>> path = hf.paths.VariancePreserving(beta_min=0.1, beta_max=20.0)
    >>> anchor = path.anchor(jnp.array([2.0, 1.0]))
    >>> path.mean(anchor, jnp.asarray(0.5)).round(3)
    Array([0.562, 0.281], dtype=float32)
    >>> path.score(jnp.array([0.0, 0.0]), anchor, jnp.asarray(0.5)).round(3)
    Array([0.611, 0.305], dtype=float32)
    ```
    """

    beta_min: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.1)
    beta_max: Float[Array, ""] = eqx.field(converter=as_scalar, default=20.0)
    cutoff: Float[Array, ""] = eqx.field(converter=as_scalar, default=1e-5)
    prior_scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    group: groups.AbstractGroup = eqx.field(converter=groups.registry.make, default="trivial")

    approximate_start: ClassVar[bool] = True

    def __check_init__(self):
        check_positive(self, "beta_min", "beta_max", "cutoff", "prior_scale")

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        s = self.cutoff + (1 - self.cutoff) * (1 - t)
        total = s * self.beta_min + s**2 * (self.beta_max - self.beta_min) / 2
        spread = jnp.sqrt(-jnp.expm1(-total))
        return -jnp.expm1(-total / 2) * frame.speeds, self.prior_scale * spread * frame.speeds


@registry.register("variance-exploding")
class VarianceExploding(AbstractIsotropicPath):
    r"""The variance-exploding diffusion path: $x_t = x_1 + \sigma_t\varepsilon$,
    $\sigma_t = s_0 (\sigma_{\min}/s_0)^t$.

    Song et al. (2021), arXiv:2011.13456; Lipman et al. (2023), eq. 16. It starts at
    $N(x_1, s_0^2 P)$, which comes close to the prior only if `prior_scale` $s_0$ is far above the
    data's scale.

    **Example:**

    ```pycon
    >>> path = hf.paths.VarianceExploding(sigma_min=0.01, prior_scale=50.0)
    >>> prior = hf.priors.Normal(2, scale=50.0)  # as wide as the path says
    >>> flow = hf.fit("mlp", path, 10 * points, prior=prior, key=key, steps=2,
    ...               progress=False)
    ```
    """

    sigma_min: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.01)
    prior_scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=50.0)
    group: groups.AbstractGroup = eqx.field(converter=groups.registry.make, default="trivial")

    approximate_start: ClassVar[bool] = True

    def __check_init__(self):
        check_positive(self, "sigma_min", "prior_scale")
        if is_concrete(self.sigma_min, self.prior_scale) and self.sigma_min >= self.prior_scale:
            raise ValueError(
                f"VarianceExploding: `sigma_min` must be below `prior_scale`, got {self.sigma_min} "
                f"and {self.prior_scale}."
            )

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        sigma = self.prior_scale * (self.sigma_min / self.prior_scale) ** t
        return jnp.zeros_like(frame.speeds), sigma * frame.speeds


@registry.register("cosine")
class Cosine(AbstractIsotropicPath):
    r"""The trigonometric path: $x_t = \sin(\tfrac\pi2 t)\,x_1 + \cos(\tfrac\pi2 t)\,x_0$.

    Albergo and Vanden-Eijnden (2023), arXiv:2209.15571; it keeps the variance of standardised data.

    **Example:**

    ```pycon
    >>> path = hf.paths.Cosine()
    >>> x0, x1 = jnp.array([0.0, 0.0]), jnp.array([2.0, 1.0])
    >>> path.flow(x0, path.anchor(x1), jnp.asarray(0.5)).round(3)
    Array([1.414, 0.707], dtype=float32)
    ```
    """

    prior_scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    group: groups.AbstractGroup = eqx.field(converter=groups.registry.make, default="trivial")

    def __check_init__(self):
        check_positive(self, "prior_scale")

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        alpha = 1 - jnp.sin(math.pi / 2 * t)
        # sin of the complement: exactly 0 at t = 1, where cos(pi/2) rounds to -4e-8.
        sigma = jnp.sin(math.pi / 2 * (1 - t))
        return alpha * frame.speeds, self.prior_scale * sigma * frame.speeds
