"""The laws of a time sampler."""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from hiflow.testing._report import Findings, Report, seed
from hiflow.time_samplers import AbstractTimeSampler


def check_time_sampler(
    sampler: AbstractTimeSampler, *, key: PRNGKeyArray | None = None, batches: int = 400
) -> Findings:
    r"""Check that times lie in [0, 1), weights are positive and finite, and weighted averages are
    integrals: $E[w f(t)] = \int_0^1 f$ for powers of $t$ up to the eighth.

    **Arguments:**

    - `batches`: how many batches of 32 times are drawn.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.
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
    functions = {"1": (t**0, 1.0), "t": (t, 1 / 2), "t²": (t**2, 1 / 3), "t⁸": (t**8, 1 / 9)}
    scores = []
    for values, integral in functions.values():
        means = (w * values).mean(1)
        error = jnp.std(means) / jnp.sqrt(1.0 * batches)
        scores.append(jnp.abs(means.mean() - integral) / (error + 1e-4))
    report.law(
        "integral", "E[w f(t)] is the integral of f (in standard errors)", jnp.stack(scores), 6, "f",
        f=list(functions),
    )  # fmt: skip
    return report.finish()
