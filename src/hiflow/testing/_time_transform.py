"""The laws of a time transform."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hiflow.testing._report import Findings, Report
from hiflow.times import AbstractTimeTransform


def check_time_transform(transform: AbstractTimeTransform) -> Findings:
    r"""Check a transform's ends, that it increases, and that `decay` is $e^{-a\tau}$ with a finite
    derivative on $[0, 1]$ for rates of at least 1.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_time_transform(hf.times.CosineTime())
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    report = Report("check_time_transform", transform)
    tolerance = report.rounding
    t = jnp.linspace(0.0, 1.0, 65)
    rates = jnp.asarray([1.0, 1.5, 3.0, 20.0])
    tau, decay = jax.vmap(transform.tau)(t), _decay(transform, t, rates)
    report.law("start", "tau(0) = 0", jnp.abs(tau[0]), tolerance)
    report.law(
        "end",
        "remaining(1) = cutoff, so tau(1) is infinite without one",
        _end(transform),
        tolerance,
    )
    report.law(
        "increasing", "tau increases", jnp.maximum(tau[:-1] - tau[1:], 0) + (tau[:-1] == tau[1:]),
        0, "t", t=t,
    )  # fmt: skip
    inside = slice(1, -1)
    expected = jnp.exp(-tau[inside, None] * rates)
    report.law(
        "decay", "decay(t, a) = exp(-a tau(t))", jnp.abs(decay[inside] - expected), tolerance, "t",
        "rate", t=t[inside], rate=rates,
    )  # fmt: skip
    slope = jax.vmap(lambda s: jax.jvp(lambda u: transform.decay(u, rates), (s,), (1 + 0 * s,))[1])(
        t
    )
    report.law(
        "derivative", "d/dt decay is finite for rates of at least 1",
        jnp.where(jnp.isfinite(slope), 0, jnp.inf), 0, "t", "rate", t=t, rate=rates,
    )  # fmt: skip
    return report.finish()


def _decay(transform: AbstractTimeTransform, t: Array, rates: Array) -> Array:
    return jax.vmap(lambda s: transform.decay(s, rates))(t)


def _end(transform: AbstractTimeTransform) -> Array:
    one = jnp.ones(())
    missed = jnp.abs(transform.remaining(one) - transform.cutoff)
    never = (transform.cutoff == 0) & (transform.remaining(one) != 0)
    return jnp.where(never, jnp.maximum(missed, 1.0), missed)
