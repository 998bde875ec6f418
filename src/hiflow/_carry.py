"""What a flow carries where, compiled: points, their densities, and whole trajectories.

Of a flow only the three parts that a solve takes are known here, and nothing of units.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hiflow._devices import on_every_device
from hiflow._integration import in_chunks
from hiflow.networks import AbstractVelocityField, told
from hiflow.priors import AbstractPrior
from hiflow.solver import Solver, SolverStats, check_arrived, solve, solve_along

# The results, what the solver did, and who arrived.
Solved = tuple[PyTree, SolverStats, Array]
# How many samples the prior's density or a velocity is taken of at once.
_CHUNK = 1024


@runtime_checkable
class Carrier(Protocol):
    """A flow."""

    @property
    def prior(self) -> AbstractPrior:
        """Where it starts."""
        ...

    @property
    def network(self) -> AbstractVelocityField:
        """What carries it."""
        ...

    @property
    def solver(self) -> Solver:
        """How that is solved."""
        ...


def solved(
    function: Callable[[Any, Any], Solved], flow: Carrier, rows: PyTree
) -> tuple[PyTree, SolverStats]:
    """The results for all rows, and the statistics."""
    results, stats, arrived = on_every_device(function, flow, rows)
    return check_arrived(arrived, (results, stats))


@eqx.filter_jit
def ends(flow: Carrier, starts: tuple[Float[Array, "n *event"], PyTree]) -> Solved:
    """Where points of the prior end, each under its condition."""
    x0, conditions = starts
    (x1, _), stats, arrived = solve(
        flow.solver, flow.network, x0, (0.0, 1.0), conditions=conditions
    )
    return x1, stats, arrived


@eqx.filter_jit
def ends_with_density(
    flow: Carrier, starts: tuple[Float[Array, "n *event"], Array, PyTree]
) -> Solved:
    """Where points of the prior end, and the log densities there."""
    solver, (x0, keys, conditions) = flow.solver, starts
    (x1, gained), stats, arrived = solve(
        solver, flow.network, x0, (0.0, 1.0), solver.divergence, keys, conditions
    )
    log_prob = _prior_log_prob(flow, x0) - _mean(gained)
    return (x1, log_prob), _with_probes(stats, gained), arrived


@eqx.filter_jit
def density(flow: Carrier, ends: tuple[Float[Array, "n *event"], Array | None, PyTree]) -> Solved:
    """The log densities of points of the data."""
    solver, (x1, keys, conditions) = flow.solver, ends
    projected = jax.vmap(flow.prior.group.project)(x1)
    (x0, gained), stats, arrived = solve(
        solver, flow.network, projected, (1.0, 0.0), solver.divergence, keys, conditions
    )
    log_prob = _prior_log_prob(flow, x0) + _mean(gained)
    return log_prob, _with_probes(stats, gained), arrived


@eqx.filter_jit
def starts(flow: Carrier, ends: tuple[Float[Array, "n *event"], PyTree]) -> Solved:
    """Where points of the data come from."""
    x1, conditions = ends
    projected = jax.vmap(flow.prior.group.project)(x1)
    (x0, _), stats, arrived = solve(
        flow.solver, flow.network, projected, (1.0, 0.0), conditions=conditions
    )
    return x0, stats, arrived


def along(
    flow: Carrier,
    times: Float[Array, " times"],
    x0: Float[Array, "n *event"],
    conditions: PyTree = None,
) -> Float[Array, "n times *event"]:
    """Where points of the prior are at some times."""
    found, arrived = on_every_device(_along, (flow, times), (x0, conditions))
    return check_arrived(arrived, found)


@eqx.filter_jit
def velocity(
    flow: Carrier, t: Float[Array, " n"], x: Float[Array, "n *event"], conditions: PyTree = None
) -> Float[Array, "n *event"]:
    """The network's, at points with a time each, each under its condition."""

    def one(at: tuple[Array, Array, PyTree]) -> Array:
        t, x, condition = at
        return told(flow.network, condition)(t, x)

    return in_chunks(one, (t, x, conditions), flow.solver.chunk_size or _CHUNK)


@eqx.filter_jit
def _along(
    flow_and_times: tuple[Carrier, Array], starts: tuple[Float[Array, "n *event"], PyTree]
) -> tuple[Array, Array]:
    flow, times = flow_and_times
    x0, conditions = starts
    return solve_along(flow.solver, flow.network, x0, times, conditions)


def _prior_log_prob(flow: Carrier, x: Float[Array, "n *event"]) -> Float[Array, " n"]:
    return in_chunks(flow.prior.log_prob, x, flow.solver.chunk_size or _CHUNK)


def _mean(gained: Float[Array, "n *estimates"]) -> Float[Array, " n"]:
    return gained.reshape(gained.shape[0], -1).mean(1)


def _with_probes(stats: SolverStats, gained: Float[Array, "n *estimates"]) -> SolverStats:
    """The statistics, with the variance of the mean of the probes' integrals."""
    if gained.ndim == 1:
        return stats
    probes = gained.shape[1]
    variance = (
        jnp.var(gained, axis=1, ddof=1) / probes if probes > 1 else stats.probe_variance + jnp.nan
    )
    return SolverStats(stats.nfe, stats.accepted, stats.rejected, variance)
