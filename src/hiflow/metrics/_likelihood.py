"""What a trained flow is worth: its likelihood, how low that can get and what computing it took."""

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, Shaped

from hiflow import _border
from hiflow._border import border
from hiflow._statistics import check_labels, mean_of
from hiflow.energies import AbstractEnergy, SupportsEntropy
from hiflow.solver import SolverStats


@runtime_checkable
class HasDensity(Protocol):
    """What a model needs for these metrics; a [`Flow`][hiflow.Flow] has it.

    **Example:**

    ```pycon
    >>> isinstance(flow, hf.metrics.HasDensity)
    True
    ```
    """

    def log_prob_and_stats(
        self, x: Float[Array, "n *event"], **settings: Any
    ) -> tuple[Array, SolverStats]:
        """Log densities, and the solver's statistics."""
        ...


_FLOW = _border.having(HasDensity, "a Flow, or have a method log_prob_and_stats")


@dataclasses.dataclass(frozen=True)
class NLL:
    """A negative log-likelihood in nats.

    **Arguments:**

    - `nll`, `nll_se`: mean over the points, and half the width of its 68.3 % confidence interval: the
      standard error, over chains where these are given.
    - `nfe`, `nfe_max`: velocity evaluations per point that computing it took, mean and largest.
    - `log_prob`: the log density of every point, for paired comparisons.
    - `probe_se`: the part of the error that comes from estimating the divergence with probes:
      0 if it is exact, NaN for a single probe. `nll_se` includes it.

    **Example:**

    ```pycon
    >>> nll = hf.metrics.negative_log_likelihood(flow, points[:50])
    >>> nll.nll > hf.metrics.Floor.of(ring).low  # but for luck
    True
    >>> nll.nfe <= nll.nfe_max, nll.probe_se  # of an exact divergence
    (True, 0.0)
    ```
    """

    nll: float
    nll_se: float
    nfe: float
    nfe_max: int
    log_prob: list[float] = dataclasses.field(repr=False)
    probe_se: float = 0.0


@border("negative_log_likelihood", flow=_FLOW, points=_border.points)
def negative_log_likelihood(
    flow: HasDensity,
    points: Float[Array, "n *event"],
    *,
    chains: Shaped[Array | np.ndarray, " n"] | None = None,
    condition: PyTree = None,
    **settings: Any,
) -> NLL:
    """The flow's NLL on `points`; `settings` go to `log_prob_and_stats`.

    A Hutchinson estimate draws its probes from a fixed key unless `settings` hold another, so that two
    flows, or one at two steps, are compared with the same probes.

    **Arguments:**

    - `chains`: which Markov chain each point comes from, if they aren't independent: the error is then
      over chains. Samples bring theirs.
    - `condition`: of every point, for a flow of conditions. Samples bring theirs.

    **Example:**

    ```pycon
    >>> test = points[:50]
    >>> nll = hf.metrics.negative_log_likelihood(flow, test)  # in nats, by the flow's solver
    >>> nll.nll_se < 1.0, len(nll.log_prob)
    (True, 50)
    >>> quick = hf.metrics.negative_log_likelihood(flow, test, method="Heun", steps=8)
    >>> quick.nfe
    16.0
    ```
    """
    shape = getattr(getattr(flow, "prior", None), "event_shape", points.shape[1:])
    if points.ndim == 0 or points.shape[1:] != tuple(shape):
        raise ValueError(
            f"negative_log_likelihood: `points` must have shape (n, *{tuple(shape)}), got "
            f"{points.shape}."
        )
    check_labels(chains, points.shape[0], "negative_log_likelihood: `chains`")
    told = {} if condition is None else {"condition": condition}
    given = {"key": jax.random.key(0), **told, **settings}
    log_prob, stats = flow.log_prob_and_stats(points, **given)
    mean = mean_of(-log_prob, chains)
    return NLL(
        nll=mean.value,
        nll_se=mean.error,
        nfe=float(jnp.mean(stats.nfe)),
        nfe_max=int(jnp.max(stats.nfe)),
        log_prob=np.asarray(log_prob).tolist(),
        probe_se=float(jnp.sqrt(jnp.sum(stats.probe_variance)) / log_prob.shape[0]),
    )


class Floor(NamedTuple):
    """Bounds of the lowest NLL that any model has on an energy's samples, in nats: their entropy.

    **Example:**

    ```pycon
    >>> floor = hf.metrics.Floor.of(ring)
    >>> round(floor.low, 3), floor.exact
    (1.424, True)
    >>> hf.metrics.Floor.of(hf.energies.BeadChain()) is None  # not known
    True
    ```
    """

    low: float
    high: float

    @classmethod
    def of(cls, energy: AbstractEnergy | None) -> "Floor | None":
        """The energy's floor, where it is known."""
        bounds = energy.entropy() if isinstance(energy, SupportsEntropy) else None
        return None if bounds is None else cls(*bounds)

    @property
    def exact(self) -> bool:
        """Whether the bounds agree in the digits that an NLL is given with."""
        return self.high - self.low < 5e-3

    def __str__(self) -> str:
        return f"{self.low:.3f}" if self.exact else f"{self.low:.1f} to {self.high:.1f}"
