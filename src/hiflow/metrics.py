"""Figures of a trained flow: negative log-likelihood with its error, and what computing it took."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@runtime_checkable
class HasDensity(Protocol):
    """What a model needs for these metrics; a [`Flow`][hiflow.Flow] has it."""

    def log_prob_and_stats(self, x: Float[Array, "n *event"], **settings: Any) -> Any:
        """Log densities, and the solver's statistics."""
        ...


@dataclasses.dataclass(frozen=True)
class NLL:
    """A negative log-likelihood in nats.

    **Arguments:**

    - `nll`, `nll_se`: mean over the points, and its standard error.
    - `nfe`, `nfe_max`: velocity evaluations per point that computing it took, mean and largest.
    - `log_prob`: the log density of every point, for paired comparisons.
    """

    nll: float
    nll_se: float
    nfe: float
    nfe_max: int
    log_prob: list[float]


def negative_log_likelihood(
    flow: HasDensity, points: Float[Array, "n *event"], **settings: Any
) -> NLL:
    """The flow's NLL on `points`; `settings` go to `log_prob_and_stats`.

    A Hutchinson estimate draws its probes from a fixed key unless `settings` hold another, so that two
    flows, or one at two steps, are compared with the same probes.
    """
    log_prob, stats = flow.log_prob_and_stats(points, **{"key": jax.random.key(0), **settings})
    return NLL(
        nll=-float(jnp.mean(log_prob)),
        nll_se=standard_error(log_prob),
        nfe=float(jnp.mean(stats.nfe)),
        nfe_max=int(jnp.max(stats.nfe)),
        log_prob=np.asarray(log_prob).tolist(),
    )


def standard_error(values: Float[Array, " n"]) -> float:
    """The standard error of the mean of independent values; infinite for a single one."""
    n = values.shape[0]
    return float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("inf")
