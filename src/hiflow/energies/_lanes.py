"""Minimisation of many points at once: L-BFGS in lanes, of which each that is done takes the next."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

LANES = 32
_MEMORY = 5
# An accepted step lowers the energy by at least this part of what its slope promises (Armijo).
_SUFFICIENT = 1e-4
# A step is at most so much longer than the one before: longer ones leap into other basins.
_GROWTH = 2.0
# Along soft directions more is left of the way than so short a memory believes.
_CAUTION = 0.1

_lbfgs = optax.scale_by_lbfgs(_MEMORY)


Energy = Callable[[Array], Array]


class Settings(NamedTuple):
    """When a search ends: after so many steps, or once the next would be shorter than the tolerance
    (root mean square, absolutely plus relatively to the way made) and gain less (in kT)."""

    steps: int
    tolerance: float


class Lane(NamedTuple):
    """One search: its start, how far it is from there, what the energy is like and what comes next."""

    start: Float[Array, "*event"]
    moved: Float[Array, "*event"]
    value: Float[Array, ""]
    gradient: Float[Array, "*event"]
    step: Float[Array, "*event"]
    memory: Any
    tries: Int[Array, ""]
    done: Bool[Array, ""]


def minimise(
    energy: Energy, points: Float[Array, "n *event"], settings: Settings
) -> Float[Array, "n *event"]:
    """How far from each point its minimum is. At most `LANES` searches run at a time, and one that
    ends makes room for the next, so that none waits for the slowest."""
    n = points.shape[0]
    lanes = min(LANES, n)
    # All of them, so that a lane is refilled by a copy.
    fresh = jax.vmap(lambda x: _begun(energy, x))(points)
    advanced = jax.vmap(lambda lane: _advanced(energy, lane, settings))

    def refilled(carry: tuple[Lane, Array, Array, Array]) -> tuple[Lane, Array, Array, Array]:
        running, owner, coming, found = carry
        running = advanced(running)
        done = running.done & (owner < n)
        # A lane without a point belongs to n, and what is written there is dropped.
        found = found.at[jnp.where(done, owner, n)].set(running.moved, mode="drop")
        following = coming + jnp.cumsum(done) - 1
        owner = jnp.where(done, jnp.minimum(following, n), owner)
        taken = done & (following < n)
        running = _where(taken, jax.tree.map(lambda leaf: leaf[owner], fresh), running)
        return running, owner, jnp.minimum(coming + done.sum(), n), found

    start = (
        jax.tree.map(lambda leaf: leaf[:lanes], fresh),
        jnp.arange(lanes),
        jnp.asarray(lanes),
        jnp.zeros_like(points),
    )
    return jax.lax.while_loop(lambda carry: (carry[1] < n).any(), refilled, start)[3]


def _begun(energy: Energy, x: Float[Array, "*event"]) -> Lane:
    """Downhill by as much as the curvature that way suggests, and by 1 at most."""
    (value, gradient), curved = jax.jvp(jax.value_and_grad(energy), (x,), (jax.grad(energy)(x),))
    size = jnp.linalg.norm(gradient)
    curvature = jnp.abs(jnp.vdot(gradient, curved[1])) / size**2
    length = jnp.nan_to_num(jnp.minimum(1 / curvature, 1 / size))
    memory = _lbfgs.update(gradient, _lbfgs.init(x), jnp.zeros_like(x))[1]
    none, no = jnp.zeros((), int), jnp.zeros((), bool)
    return Lane(x, jnp.zeros_like(x), value, gradient, -length * gradient, memory, none, no)


def _advanced(energy: Energy, lane: Lane, settings: Settings) -> Lane:
    """One step tried, and taken if the energy falls; tried anew at a part of its length if not."""
    moved = lane.moved + lane.step
    value, gradient = jax.value_and_grad(energy)(lane.start + moved)
    slope = jnp.vdot(lane.gradient, lane.step)
    # What rounding does to the energy is no rise.
    rounding = 8 * jnp.finfo(value.dtype).eps * jnp.abs(lane.value)
    change = value - lane.value
    taken = (change <= _SUFFICIENT * slope + rounding) & jnp.isfinite(gradient).all()
    # A parabola through what is known has its minimum at this part of the step.
    part = jnp.clip(jnp.nan_to_num(-slope / (2 * (change - slope)), nan=0.1), 0.1, 0.5)
    full, memory = _direction(lane, moved, gradient)
    enough = _CAUTION * settings.tolerance
    left = jnp.sqrt(jnp.mean((full / (1 + jnp.abs(moved))) ** 2))
    converged = (left < enough) & (jnp.abs(jnp.vdot(gradient, full)) < enough)
    longest = _GROWTH * jnp.linalg.norm(lane.step)
    length = jnp.linalg.norm(full)
    capped = full * jnp.minimum(1, longest / jnp.maximum(length, jnp.finfo(length.dtype).tiny))
    stuck = ~taken & (lane.start + moved == lane.start + lane.moved).all()
    tries = lane.tries + 1
    done = (taken & converged) | stuck | (tries >= settings.steps)
    accepted = Lane(lane.start, moved, value, gradient, capped, memory, tries, done)
    rejected = lane._replace(step=part * lane.step, tries=tries, done=done)
    return _where(taken, accepted, rejected)


def _direction(
    lane: Lane, moved: Float[Array, "*event"], gradient: Float[Array, "*event"]
) -> tuple[Float[Array, "*event"], Any]:
    """The next full step, and the memory with this one, unless the energy curved down along it: then
    straight downhill, as far as before."""
    newton, memory = _lbfgs.update(gradient, lane.memory, moved)
    assert isinstance(newton, jax.Array)
    curved_up = jnp.vdot(moved - lane.moved, gradient - lane.gradient) > 0
    length = jnp.nan_to_num(jnp.linalg.norm(lane.step) / jnp.linalg.norm(gradient))
    memory = _where(curved_up, memory, lane.memory._replace(params=moved, updates=gradient))
    return jnp.where(curved_up, -newton, -length * gradient), memory


def _where(condition: Bool[Array, "*lanes"], yes: Any, no: Any) -> Any:
    def chosen(a: Array, b: Array) -> Array:
        return jnp.where(
            condition.reshape(condition.shape + (1,) * (a.ndim - condition.ndim)), a, b
        )

    return jax.tree.map(chosen, yes, no)
