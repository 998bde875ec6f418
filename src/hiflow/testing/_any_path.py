"""What any path obeys, Gaussian or not."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from hiflow.groups import AbstractGroup, linear_part
from hiflow.paths import AbstractGaussianPath, AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.testing._points import everywhere
from hiflow.testing._report import largest, rounding


def laws_of_any_path(
    path: AbstractPath, group: AbstractGroup, anchors: PyTree, x0: Array, times: Array
) -> dict[str, Array]:
    """Violations of what holds at every time: (point, t, sample)."""

    def target(anchor: PyTree, t: Array, x: Array) -> Array:
        x_t, x_dot = jax.jvp(lambda s: path.flow(x, anchor, s), (t,), (jnp.ones_like(t),))
        moved, velocity = path.flow_and_velocity(x, anchor, t)
        return jnp.maximum(
            largest(moved - x_t) / (1 + largest(x_t)),
            largest(velocity - x_dot) / (1 + largest(x_dot)),
        )

    def outside(anchor: PyTree, t: Array, x: Array) -> Array:
        x_t = path.flow(x, anchor, t)
        return largest(x_t - group.project(x_t)) / (1 + largest(x_t))

    def infinite(anchor: PyTree, t: Array, x: Array) -> Array:
        both = path.flow_and_velocity(x, anchor, t)
        finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in both]).all()
        return jnp.where(finite, 0, jnp.inf)

    ends = jnp.asarray([0.0, 0.999], times.dtype)
    return {
        "infinite": everywhere(infinite, anchors, ends, x0),
        "target": everywhere(target, anchors, times, x0),
        "outside": everywhere(outside, anchors, times, x0),
    }


def equivariance(
    path: AbstractPath,
    group: AbstractGroup,
    anchors: PyTree,
    turned: PyTree,
    turns: list[PyTree],
    x0: Array,
    times: Array,
) -> Array:
    """How far turning and flowing are from commuting: (element, point, t, sample)."""

    def flow(anchor: PyTree, t: Array, x: Array) -> Array:
        return path.flow(x, anchor, t)

    x_t = everywhere(flow, anchors, times, x0)
    errors = []
    for i, g in enumerate(turns):
        turn = jax.vmap(lambda x, g=g: linear_part(group, g, x))
        expected = turn(x_t.reshape(-1, *x0.shape[1:])).reshape(x_t.shape)
        there = jax.tree.map(lambda leaf, i=i: leaf[i], turned)
        reached = everywhere(flow, there, times, turn(x0))
        event = tuple(range(3, x_t.ndim))
        size = 1 + jnp.max(jnp.abs(expected), axis=event)
        errors.append(jnp.max(jnp.abs(reached - expected), axis=event) / size)
    return jnp.stack(errors)


def distance_at_start(path: AbstractGaussianPath, anchors: PyTree, x0: Array) -> Array:
    """How far the flow is from `x0` at t = 0: (point, sample)."""

    def distance(anchor: PyTree, t: Array, x: Array) -> Array:
        return largest(path.flow(x, anchor, t) - x) / (
            1 + largest(x) + largest(path.mean(anchor, 1 - t))
        )

    return everywhere(distance, anchors, jnp.zeros(1, x0.dtype), x0)[:, 0]


def moments_at_start(path: AbstractPath, prior: AbstractPrior, anchors: PyTree, x0: Array) -> Array:
    """Stein's identities of the prior for its samples after the flow to t = 0."""

    def moved(anchor: PyTree, t: Array, x: Array) -> Array:
        y = path.flow(x, anchor, t)
        score = jax.grad(prior.log_prob)(y)
        free = x.size - prior.group.null_modes(x).shape[1]
        return jnp.append(score.ravel(), jnp.sum(y * score) + free)

    values = everywhere(moved, anchors, jnp.zeros(1, x0.dtype), x0)[:, 0]
    error = jnp.std(values, axis=1) / jnp.sqrt(1.0 * x0.shape[0])
    return jnp.max(jnp.abs(values.mean(1)) / (error + rounding()), axis=1)
