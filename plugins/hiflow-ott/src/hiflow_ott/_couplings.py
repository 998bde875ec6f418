"""Couplings that draw their pairs from a regularised transport plan between the batch's points."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from ott.geometry import pointcloud
from ott.geometry.epsilon_scheduler import Epsilon
from ott.problems.linear import linear_problem
from ott.solvers.linear import sinkhorn, sinkhorn_lr

from hiflow.couplings import AbstractCoupling

# Of ε, from one iteration to the next.
_DECAY = 0.98
# In single precision the plan of a smaller one is rounding noise.
_LEAST_EPSILON = 1e-5


class Sinkhorn(AbstractCoupling):
    r"""Every data point draws its prior sample from the entropic transport plan of the batch.

    The plan minimises $\langle P, C\rangle - \varepsilon H(P)$ with $C_{ij} = \|x_{0,i} - x_{1,j}\|^2$
    and uniform marginals (Cuturi 2013, arXiv:1306.0895). $\varepsilon$ is lowered to its value step by
    step, and what the iterations leave of an error in the marginals is taken out of the plan by rounding
    (Altschuler, Weed and Rigollet 2017, arXiv:1705.09634), so every $\varepsilon$ gives a coupling.

    Draws are with replacement: a prior sample may serve twice in a batch, and serves once on average,
    so the prior's marginal is kept in expectation.
    $\varepsilon \to 0$ is `minibatch-ot`, $\varepsilon \to \infty$ the independent coupling.

    **Arguments:**

    - `epsilon`: $\varepsilon$ relative to the batch's mean cost, both sides centred.
    - `threshold`: largest error of the plan's marginals; `iterations`: at most how many.

    **Raises:** `ValueError` for an `epsilon` below 1e-5, or a `threshold` that isn't positive.
    """

    epsilon: float = eqx.field(static=True, converter=float, default=0.05)
    threshold: float = eqx.field(static=True, default=1e-3)
    iterations: int = eqx.field(static=True, default=2000)

    in_background: ClassVar[bool] = True

    def __check_init__(self):
        if not self.epsilon >= _LEAST_EPSILON:
            raise ValueError(
                f"Sinkhorn: `epsilon` must be at least {_LEAST_EPSILON:g}, got {self.epsilon:g}: below, "
                "the plan is rounding noise. 'minibatch-ot' is the exact limit."
            )
        if not self.threshold > 0:
            raise ValueError(f"Sinkhorn: `threshold` must be positive, got {self.threshold}.")

    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        geometry = _geometry(x0, x1, self.epsilon)
        solver = sinkhorn.Sinkhorn(threshold=self.threshold, max_iterations=self.iterations)
        output = solver(linear_problem.LinearProblem(geometry))
        # log P_ij up to a constant, from the dual potentials.
        potentials = output.f[:, None] + output.g[None, :]
        log_plan = (potentials - jnp.asarray(geometry.cost_matrix)) / geometry.epsilon
        return _drawn(log_plan, x0, key), x1


class LowRankSinkhorn(AbstractCoupling):
    r"""As [`Sinkhorn`][hiflow_ott.Sinkhorn], with a plan of low rank,
    $P = Q\,\mathrm{diag}(1/g)\,R^\top$: data points and prior samples belong to clusters
    (Scetbon, Cuturi and Peyré 2021, arXiv:2103.04737).

    Costs $O(n r)$ per iteration instead of $O(n^2)$, for large batches. Its pairs are coarser.

    **Arguments:**

    - `rank`: $r$, at most the batch's size.
    - `iterations`: at most how many.

    **Raises:** `ValueError` for a `rank` below 1 or above the batch's size.
    """

    rank: int = eqx.field(static=True, default=8)
    iterations: int = eqx.field(static=True, default=2000)

    in_background: ClassVar[bool] = True

    def __check_init__(self):
        if self.rank < 1:
            raise ValueError(f"LowRankSinkhorn: `rank` must be at least 1, got {self.rank}.")

    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        if self.rank > x0.shape[0]:
            raise ValueError(
                f"LowRankSinkhorn: `rank` is {self.rank}, more than the batch's {x0.shape[0]} points."
            )
        problem = linear_problem.LinearProblem(_geometry(x0, x1, None))
        solver = sinkhorn_lr.LRSinkhorn(rank=self.rank, max_iterations=self.iterations)
        output = solver(problem)
        plan = jnp.matmul(output.q / output.g, output.r.T, precision="highest")
        return _drawn(jnp.log(jnp.maximum(plan, 1e-30)), x0, key), x1


def _drawn(log_plan: Array, x0: Array, key: PRNGKeyArray) -> Array:
    """A prior sample for every data point, from the plan rounded to uniform marginals."""
    plan = jax.nn.softmax(log_plan, axis=0)
    plan = plan * jnp.minimum(1, 1 / jnp.sum(plan, axis=1, keepdims=True))
    rows, columns = 1 - jnp.sum(plan, axis=1), 1 - jnp.sum(plan, axis=0)
    left = jnp.maximum(rows, 0)[:, None] * jnp.maximum(columns, 0)[None, :]
    plan = plan + left / jnp.maximum(jnp.sum(rows), 1e-30)
    return x0[jax.random.categorical(key, jnp.log(jnp.maximum(plan, 1e-30)), axis=0)]


def _geometry(x0: Array, x1: Array, epsilon: float | None) -> pointcloud.PointCloud:
    """Squared distances, with ε in units of their mean. Both sides are centred, which changes no plan:
    far from the origin the squares would cancel to nothing."""
    flat = [x.reshape(x.shape[0], -1) for x in (x0, x1)]
    a, b = (x - jnp.mean(x, axis=0) for x in flat)
    cloud = pointcloud.PointCloud(a, b)
    if epsilon is None:
        return cloud
    # From the mean cost down, where Sinkhorn's iterations converge at once.
    start = max(1.0, 1 / epsilon)
    scheduled = Epsilon(epsilon * cloud.mean_cost_matrix, init=start, decay=_DECAY)
    return pointcloud.PointCloud(a, b, epsilon=scheduled)
