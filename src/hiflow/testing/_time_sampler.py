"""The laws of a time sampler."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from hiflow.testing._report import Findings, Report, seed
from hiflow.time_samplers import AbstractTimeSampler, SupportsObjective


def check_time_sampler(
    sampler: AbstractTimeSampler, *, key: PRNGKeyArray | None = None, batches: int = 400
) -> Findings:
    r"""Check that times lie in [0, 1), weights are positive and finite, and weighted averages are
    integrals: $E[w f(t)] = \int_0^1 \omega f$ for powers of $t$ up to the eighth, with $\omega$ the
    sampler's `objective` if it has one, of mean 1, and 1 if not.

    **Arguments:**

    - `batches`: how many batches of 32 times are drawn.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_time_sampler(hf.time_samplers.Stratified(), key=key)
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    key = seed(key)
    report = Report("check_time_sampler", sampler, key)
    t, w = jax.vmap(lambda k: sampler(k, 32))(jax.random.split(key, batches))
    same = t.shape == w.shape == (batches, 32)
    report.law("shape", "one time and one weight per sample", 0.0 if same else jnp.inf, 0)
    if not same:
        return report.finish()
    # At 1 itself the velocity of a mode whose rate is below one is infinite.
    outside = jnp.where((t >= 0) & (t < 1), 0, 1 + jnp.abs(t - 0.5))
    report.law("interval", "times lie in [0, 1)", outside, 0, "batch", "sample")
    good = jnp.isfinite(w) & (w > 0)
    report.law(
        "weights",
        "weights are positive and finite",
        jnp.where(good, 0, jnp.inf),
        0,
        "batch",
        "sample",
    )
    powers = {"1": 0, "t": 1, "t²": 2, "t⁸": 8}
    scores = []
    for power in powers.values():
        means, integral = (w * t**power).mean(1), _integral(sampler, power)
        error = jnp.std(means) / jnp.sqrt(1.0 * batches)
        scores.append(jnp.abs(means.mean() - integral) / (error + 1e-4))
    report.law(
        "integral", "E[w f(t)] is the integral of f, weighted by `objective` (in standard errors)",
        jnp.stack(scores), 6, "f", f=list(powers),
    )  # fmt: skip
    if isinstance(sampler, SupportsObjective):
        mean = _integral(sampler, 0)
        report.law("objective", "`objective` has mean 1", jnp.abs(mean - 1), 1e-3)
    return report.finish()


def _integral(sampler: AbstractTimeSampler, power: int) -> Array:
    """Of ω(t) t^power, by the midpoint rule in -log(1 - t), where ω may be large."""
    if not isinstance(sampler, SupportsObjective):
        return jnp.asarray(1 / (power + 1))
    step = 1e-4
    s = step * (jnp.arange(150_000) + 0.5)
    t = -jnp.expm1(-s)
    return jnp.sum(sampler.objective(t) * t**power * jnp.exp(-s)) * step
