"""Many samples side by side: in chunks of equal steps, or in lanes that take the next sample when they
are done with theirs."""

from collections.abc import Callable
from typing import Any, TypeVar

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hiflow._integration._adaptive import Adaptive, Lane
from hiflow._integration._problem import Field, Interval, Report
from hiflow._integration._runge_kutta import Tableau, step

T = TypeVar("T")
Ends = tuple[Array, PyTree]


def in_chunks(function: Callable[..., T], inputs: PyTree, width: int) -> T:
    """A function of one sample for all, `width` at a time."""
    n = jax.tree.leaves(inputs)[0].shape[0]
    chunks = -(-n // width)
    batched = jax.vmap(function)
    if chunks == 1:
        return batched(inputs)
    size = -(-n // chunks)
    index = jnp.minimum(jnp.arange(chunks * size), n - 1).reshape(chunks, size)
    results = jax.lax.map(
        lambda rows: batched(jax.tree.map(lambda leaf: leaf[rows], inputs)), index
    )
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:n], results)


def fixed_steps(
    field: Field,
    interval: Interval,
    method: diffrax.AbstractSolver,
    steps: int,
    x: Float[Array, "n *event"],
    keys: PyTree,
    width: int,
) -> tuple[Ends, Report]:
    """Everyone's end after a number of equal steps. Stages that only an error estimate needs are left
    out. Differentiable with one step's memory and a point for each step."""
    tableau = Tableau.of(method).without_error()
    h = (interval.end - interval.start) / steps

    def one(inputs: tuple[Array, Any]) -> Ends:
        x, key = inputs
        drawn = field.draw(key, x)
        rates = jax.eval_shape(field.both, jnp.zeros((), x.dtype), x, drawn)
        gained = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, x.dtype), rates[1])

        def advance(state: Ends, i: Array) -> tuple[Ends, None]:
            times = interval.at(i / steps), interval.at((i + 1) / steps)
            made = step(tableau, field, times, jnp.asarray(h, x.dtype), state[0], drawn, None)
            return (made.x, jax.tree.map(jnp.add, state[1], made.gained)), None

        number = jnp.arange(steps).astype(x.dtype)
        return jax.lax.scan(jax.checkpoint(advance, prevent_cse=False), (x, gained), number)[0]

    ends = in_chunks(one, (x, keys), width)
    whole = jnp.full(x.shape[0], steps, jnp.int32)
    return ends, Report(whole * tableau.stages, whole, 0 * whole, whole > 0)


def adaptive_steps(
    solve: Adaptive, x: Float[Array, "n *event"], keys: PyTree, width: int
) -> tuple[Ends, Report]:
    """Everyone's end by adaptive steps. `width` lanes run at once, and a lane that is done takes the
    next sample. It can't be differentiated: see `adaptive_steps_in_chunks`."""
    n, width = x.shape[0], min(width, x.shape[0])
    draw, begin = solve.field.draw, solve.begin
    first = in_chunks(lambda one: solve.first(one[0], draw(one[1], one[0])), (x, keys), width)

    def load(index: Array) -> Lane:
        x_, key, first_ = jax.tree.map(lambda leaf: leaf[index], (x, keys, first))
        return begin(x_, draw(key, x_), first_)

    def result(lane: Lane) -> tuple[Ends, Report]:
        counts = lane.accepted, lane.rejected
        return (lane.x, lane.gained), Report(solve.evaluations(lane), *counts, lane.tau >= 1)

    def going(state: Any) -> Array:
        return (state[1] < n).any()

    def advance(state: Any) -> Any:
        lanes, index, upcoming, results = state
        lanes = jax.vmap(solve.advance)(lanes)
        done = ~jax.vmap(solve.going)(lanes) & (index < n)
        results = jax.tree.map(
            lambda all_, one: all_.at[jnp.where(done, index, n)].set(one, mode="drop"),
            results,
            jax.vmap(result)(lanes),
        )
        # Who is done takes the next in the queue; behind its end there is no one.
        index = jnp.where(done, upcoming + jnp.cumsum(done) - 1, index)

        def refill(lanes: Lane) -> Lane:
            fresh = jax.vmap(load)(jnp.minimum(index, n - 1))
            return jax.tree.map(lambda new, old: _where(done, new, old), fresh, lanes)

        lanes = jax.lax.cond(done.any(), refill, lambda lanes: lanes, lanes)
        return lanes, index, upcoming + done.sum(), results

    index = jnp.arange(width)
    lanes = jax.vmap(load)(index)
    blank = jax.eval_shape(jax.vmap(result), lanes)
    results = jax.tree.map(lambda leaf: jnp.zeros((n, *leaf.shape[1:]), leaf.dtype), blank)
    start = (lanes, index, jnp.asarray(width, index.dtype), results)
    return jax.lax.while_loop(going, advance, start)[3]


def adaptive_steps_in_chunks(
    solve: Adaptive, x: Float[Array, "n *event"], keys: PyTree, width: int
) -> tuple[Ends, Report]:
    """The same by chunks that run until their slowest sample is done, but differentiable."""

    def one(inputs: tuple[Array, Any]) -> tuple[Ends, Report]:
        x, key = inputs
        drawn = solve.field.draw(key, x)
        lane = solve.run(solve.begin(x, drawn, solve.first(x, drawn)))
        counts = lane.accepted, lane.rejected
        return (lane.x, lane.gained), Report(solve.evaluations(lane), *counts, lane.tau >= 1)

    return in_chunks(one, (x, keys), width)


def _where(mask: Array, new: Array, old: Array) -> Array:
    return jnp.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)
