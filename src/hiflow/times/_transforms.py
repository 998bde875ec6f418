"""The time transforms: how fast the relaxation is gone through."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from hiflow._checks import as_scalar, check_at_least, check_below, check_positive
from hiflow.times._base import AbstractTimeTransform, registry


def _check_cutoff(transform: AbstractTimeTransform) -> None:
    check_at_least(transform, "cutoff", 0.0)
    check_below(transform, "cutoff", 1.0)


def _with_cutoff(remaining: ArrayLike, cutoff: Float[Array, ""]) -> Float[Array, ""]:
    return cutoff + (1 - cutoff) * remaining


@registry.register("log")
class LogTime(AbstractTimeTransform):
    r"""$\tau = -\ln(1 - t)$, so $e^{-a\tau} = (1-t)^a$: a mode of rate 1 moves on a straight line at
    constant speed, as in optimal-transport flow matching.

    **Example:**

    ```pycon
    >>> time = hf.times.LogTime()
    >>> time.tau(jnp.asarray(0.5)), time.decay(jnp.asarray(0.5), jnp.array([1.0, 2.0]))
    (Array(0.6931472, dtype=float32), Array([0.5 , 0.25], dtype=float32))
    ```
    """

    cutoff: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.0)

    def __check_init__(self):
        _check_cutoff(self)

    def remaining(self, t: Float[Array, ""]) -> Float[Array, ""]:
        return _with_cutoff(1 - t, self.cutoff)


@registry.register("linear")
class LinearTime(AbstractTimeTransform):
    r"""$\tau = -t \ln\varepsilon$: physical time, cut when a mode of rate 1 has $\varepsilon$ of its
    deviation left. It can't end at infinity, so `cutoff` $\varepsilon$ must be positive.

    **Example:**

    ```pycon
    >>> time = hf.times.LinearTime(cutoff=1e-3)
    >>> time.remaining(jnp.asarray(0.5)), time.remaining(jnp.asarray(1.0))
    (Array(0.03162278, dtype=float32), Array(0.001, dtype=float32))
    >>> path = hf.paths.Langevin(ring, rates="absolute", time=time)  # the physical pace
    ```
    """

    cutoff: Float[Array, ""] = eqx.field(converter=as_scalar, default=1e-3)

    def __check_init__(self):
        check_positive(self, "cutoff")
        _check_cutoff(self)

    def remaining(self, t: Float[Array, ""]) -> Float[Array, ""]:
        return self.cutoff**t


@registry.register("polynomial")
class PolynomialTime(AbstractTimeTransform):
    r"""$\tau = -\ln(1 - t^p)$, $p \ge 1$: a slow start for `power` $p > 1$.

    **Example:**

    ```pycon
    >>> time = hf.times.PolynomialTime(power=2.0)
    >>> time.remaining(jnp.asarray(0.5))
    Array(0.75, dtype=float32)
    >>> path = hf.paths.Stable(rate=2.0, time=time)
    ```
    """

    power: Float[Array, ""] = eqx.field(converter=as_scalar, default=2.0)
    cutoff: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.0)

    def __check_init__(self):
        check_at_least(self, "power", 1.0)
        _check_cutoff(self)

    def remaining(self, t: Float[Array, ""]) -> Float[Array, ""]:
        return _with_cutoff(1 - t**self.power, self.cutoff)


@registry.register("cosine")
class CosineTime(AbstractTimeTransform):
    r"""$\tau = -\ln\cos(\pi t/2)$: a gentle start, and the same end as `LogTime` up to a factor.

    **Example:**

    ```pycon
    >>> time = hf.times.CosineTime()
    >>> time.remaining(jnp.asarray(0.5)).round(3)
    Array(0.707, dtype=float32)
    >>> path = hf.paths.Langevin(ring, time="cosine")
    ```
    """

    cutoff: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.0)

    def __check_init__(self):
        _check_cutoff(self)

    def remaining(self, t: Float[Array, ""]) -> Float[Array, ""]:
        # sin of the complement: exactly 0 at t = 1, where cos(pi/2) rounds to -4e-8 in single precision.
        return _with_cutoff(jnp.sin(jnp.pi / 2 * (1 - t)), self.cutoff)
