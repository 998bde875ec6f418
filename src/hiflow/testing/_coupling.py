"""The laws of a coupling."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from hiflow.couplings import AbstractCoupling
from hiflow.priors import AbstractPrior, Normal
from hiflow.testing._report import Report, largest, seed


def check_coupling(
    coupling: AbstractCoupling,
    *,
    prior: AbstractPrior | None = None,
    key: PRNGKeyArray | None = None,
    points: Any = None,
    batch: int = 16,
) -> dict[str, float]:
    """Check that a coupling keeps the data in place and only reorders the prior's samples, or moves
    them by the prior's symmetry.

    **Arguments:**

    - `prior`: where `x0` comes from; a standard normal in the plane by default.
    - `points`: the data, `(n, *event)`; by default the prior's samples, moved and stretched.
    - `batch`: size of the batch, if `points` isn't given.

    **Returns:** the largest violation of each law. **Raises:** `AssertionError` for broken laws.
    """
    key = seed(key)
    k_x0, k_x1, k_draw = jax.random.split(key, 3)
    if prior is None:
        prior = Normal((2,))  # pyright: ignore[reportCallIssue]
    report = Report("check_coupling", coupling, key, prior)
    if points is None:
        x1 = jax.vmap(prior.sample)(jax.random.split(k_x1, batch))
        points = jax.vmap(prior.group.project)(
            0.5 * x1 + jnp.linspace(-1, 1, x1[0].size).reshape(x1[0].shape)
        )
    x1 = jnp.asarray(points)
    x0 = jax.vmap(prior.sample)(jax.random.split(k_x0, x1.shape[0]))
    y0, y1 = coupling(x0, x1, k_draw)
    report.law(
        "shape",
        "the batch keeps its shape",
        0.0 if y0.shape == x0.shape and y1.shape == x1.shape else jnp.inf,
        0,
    )
    report.law("data", "x1 keeps its order and values", _distance(y1, x1), 0)
    before, after = (jnp.sort(jax.vmap(prior.log_prob)(x)) for x in (x0, y0))
    report.law(
        "prior", "x0 is reordered or moved by the prior's symmetry: log densities stay",
        jnp.abs(before - after) / (1 + jnp.abs(before)) if before.shape == after.shape else jnp.inf,
        report.rounding, "rank",
    )  # fmt: skip
    report.law(
        "projection", "x0 stays in the image of prior.group.project",
        _distance(jax.vmap(prior.group.project)(y0), y0), report.rounding * (1 + float(largest(x0))),
    )  # fmt: skip
    report.law(
        "key", "the same key gives the same pairs", _distance(coupling(x0, x1, k_draw)[0], y0), 0
    )
    return report.finish()


def _distance(x: Any, y: Any) -> Any:
    return largest(x - y) if x.shape == y.shape else jnp.inf
