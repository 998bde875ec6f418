"""What a flow is worth on held-out points: its likelihood, or how far its samples are from them."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Shaped

from hiflow import _border
from hiflow._border import border
from hiflow.metrics._likelihood import NLL, negative_log_likelihood
from hiflow.metrics._wasserstein import distance_in
from hiflow.priors import AbstractPrior, has_density
from hiflow.solver import SolverStats

# The best assignment of so many points to so many takes a quarter of a second.
_MOST = 1000


@dataclasses.dataclass(frozen=True)
class SampleDistance:
    r"""How far samples of a flow are from points: what is told of a flow that has no density.

    **Arguments:**

    - `distance`: $W_2$ of samples from as many of the points
      ([`wasserstein`][hiflow.metrics.wasserstein]), in the points' unit.
    - `distance_floor`: the same of other points from them: as near as so few can be. NaN of one point.
    - `nfe`, `nfe_max`: velocity evaluations per sample, mean and largest.

    **Example:**

    ```pycon
    >>> found = hf.metrics.SampleDistance(0.2, distance_floor=0.1, nfe=14.0, nfe_max=20)
    >>> found.distance > found.distance_floor  # further than other points of the data
    True
    ```
    """

    distance: float
    distance_floor: float
    nfe: float
    nfe_max: int


@runtime_checkable
class _Scored(Protocol):
    """A flow."""

    @property
    def prior(self) -> AbstractPrior: ...

    def sample_and_stats(
        self, key: PRNGKeyArray, size: int, **settings: Any
    ) -> tuple[Array, SolverStats]: ...

    def log_prob_and_stats(
        self, x: Float[Array, "n *event"], **settings: Any
    ) -> tuple[Array, SolverStats]: ...


@border(
    "held_out_score",
    flow=_border.having(
        _Scored, "a Flow, or have a `prior` and methods sample_and_stats and log_prob_and_stats"
    ),
    points=_border.points,
)
def held_out_score(
    flow: _Scored,
    points: Float[Array, "n *event"],
    *,
    chains: Shaped[Array | np.ndarray, " n"] | None = None,
    condition: PyTree = None,
    **settings: Any,
) -> NLL | SampleDistance:
    """The flow's NLL on the points; if it starts from a prior without a density, the distance of half as
    many samples, at most 1,000, from half of the points, around the circle where a coordinate has a
    period, with that of the halves of the points. Samples
    and halves are the same for every flow.

    **Arguments:**

    - `chains`: as for [`negative_log_likelihood`][hiflow.metrics.negative_log_likelihood].
    - `condition`: of every point, for a flow of conditions; samples take those of points at random.
    - `settings`: of the flow's solver.

    **Example:**

    ```pycon
    >>> score = hf.metrics.held_out_score(flow, points[:50])
    >>> type(score).__name__
    'NLL'
    ```
    """
    if has_density(flow.prior):
        return negative_log_likelihood(flow, points, chains=chains, condition=condition, **settings)
    size = max(1, min(_MOST, points.shape[0] // 2))
    # A file may have its points in the order of their classes.
    some = jax.random.permutation(jax.random.key(2), points.shape[0])[:size]
    told = jax.tree.map(lambda rows: rows[some], condition)
    x, stats = flow.sample_and_stats(jax.random.key(0), size, condition=told, **settings)
    found = distance_in(flow.prior.group, x, points, key=jax.random.key(1), size=size)
    nfe, most = float(jnp.mean(stats.nfe)), int(jnp.max(stats.nfe))
    return SampleDistance(found.value, found.floor, nfe, most)
