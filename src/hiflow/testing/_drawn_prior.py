"""The laws of a prior that is known by its draws alone."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from hiflow.priors import AbstractPrior
from hiflow.priors._density import change_of_moments
from hiflow.testing._compiled import compiled
from hiflow.testing._report import Findings, Report, largest


def check_draws(report: Report, prior: AbstractPrior, x: Array, key: PRNGKeyArray) -> Findings:
    """What is left of a prior's laws without a density: finite draws in the image of the projection, and
    first and second moments that the group doesn't change."""
    infinite, outside = _measure(prior, x)
    report.law("finite draws", "samples are finite", infinite, 0, "sample")
    report.law(
        "projection",
        "samples lie in the image of group.project",
        outside,
        report.rounding,
        "sample",
    )
    report.law(
        "moments",
        "samples moved by the group have the same moments (in standard errors)",
        change_of_moments(prior, prior.group, key, x.shape[0]),
        7,
    )
    return report.finish()


@compiled
def _measure(prior: AbstractPrior, x: Array) -> tuple[Array, Array]:
    finite = jnp.isfinite(x).reshape(x.shape[0], -1).all(1)
    outside = jax.vmap(lambda z: largest(z - prior.group.project(z)) / (1 + largest(z)))(x)
    return jnp.where(finite, 0, jnp.inf), outside
