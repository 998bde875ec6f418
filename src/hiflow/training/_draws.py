"""What training steps draw: data points, prior samples, times, and what goes with them."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, UInt32

from hiflow.couplings import AbstractCoupling, SupportsJitter, SupportsKinds
from hiflow.data import Source
from hiflow.groups import AbstractGroup
from hiflow.priors import AbstractPrior
from hiflow.time_samplers import AbstractTimeSampler


class Draw(eqx.Module):
    """Which data points meet which prior samples, when, and with what weight."""

    index: Int[Array, " batch"]
    x0: Float[Array, "batch *event"]
    t: Float[Array, " batch"]
    weight: Float[Array, " batch"]
    seeds: UInt32[Array, " batch"]
    """Of what the path draws, where its end law has noise of its own."""
    turns: PyTree
    """Elements of the group that samples are turned by; `None` without augmentation."""
    anchors: PyTree = None
    """Of the points, where they are read from disk for every call."""
    jitter: Float[Array, "batch *event"] | None = None
    """Of the copies of the data points that the coupling saw, if it makes them."""
    condition: PyTree = None
    """Of every data point; dropped ones are -1 or NaN."""


class Batches(eqx.Module):
    """All that a step draws from."""

    points: Float[Array, "n *event"] | Source
    prior: AbstractPrior
    coupling: AbstractCoupling
    time_sampler: AbstractTimeSampler
    symmetry: AbstractGroup | None
    key: PRNGKeyArray
    size: int = eqx.field(static=True)
    conditions: PyTree = None
    """Of all points."""
    kinds: Int[Array, " n"] | None = None
    """Within which the coupling pairs; `None` where it needn't know."""
    dropout: float = eqx.field(static=True, default=0.0)

    def index(self, step: Array) -> Int[Array, " batch"]:
        """Which data points a step takes."""
        return self._index(jax.random.split(self._key(step), 4)[0])

    def draw(self, step: Array, x1: Float[Array, "batch *event"] | None = None) -> "Draw":
        """What one step draws, paired. `x1` are its data points, where they come from a source."""
        key = self._key(step)
        key_index, key_prior, key_pair, key_time = jax.random.split(key, 4)
        index = self._index(key_index)
        if x1 is None:
            assert not isinstance(self.points, Source), "the points of a source are passed"
            x1 = self.points[index]
        x0 = jax.vmap(self.prior.sample)(jax.random.split(key_prior, self.size))
        t, weight = self.time_sampler(key_time, self.size)
        jitter = None
        if self.kinds is not None:
            assert isinstance(self.coupling, SupportsKinds), "checked before"
            x0, _ = self.coupling.within(x0, x1, key_pair, self.kinds[index])
        elif isinstance(self.coupling, SupportsJitter):
            x0, jitter = self.coupling.with_jitter(x0, x1, key_pair)
        else:
            x0, _ = self.coupling(x0, x1, key_pair)
        seeds = jax.random.bits(jax.random.fold_in(key, 5), (self.size,), jnp.uint32)
        turns = self._turns(jax.random.fold_in(key, 4))
        condition = self._condition(index, jax.random.fold_in(key, 6))
        return Draw(index, x0, t, weight, seeds, turns, jitter=jitter, condition=condition)

    def drawn(self, first: Array, until: Array, room: int) -> "Draw":
        """What the steps from `first` to before `until` draw."""
        return draw(self, first, until, room)

    def _key(self, step: Array) -> PRNGKeyArray:
        # Folding the step into the key makes a resumed run draw what the uninterrupted one drew.
        return jax.random.fold_in(self.key, step)

    def _index(self, key: PRNGKeyArray) -> Int[Array, " batch"]:
        return jax.random.randint(key, (self.size,), 0, self.points.shape[0])

    def _condition(self, index: Int[Array, " batch"], key: PRNGKeyArray) -> PyTree:
        conditions = jax.tree.map(lambda leaf: leaf[index], self.conditions)
        if conditions is None or self.dropout == 0:
            return conditions
        dropped = jax.random.bernoulli(key, self.dropout, index.shape)

        def one(leaf: Array) -> Array:
            none = -1 if jnp.issubdtype(leaf.dtype, jnp.integer) else jnp.nan
            return jnp.where(dropped.reshape(-1, *[1] * (leaf.ndim - 1)), none, leaf)

        return jax.tree.map(one, conditions)

    def _turns(self, key: PRNGKeyArray) -> PyTree:
        group, shape = self.symmetry, self.prior.event_shape
        if group is None:
            return None
        return jax.vmap(lambda one: group.sample(one, shape))(jax.random.split(key, self.size))


@eqx.filter_jit
def draw(
    batches: Batches, first: Array, until: Array, room: int, points: Array | None = None
) -> Draw:
    """What the steps from `first` to before `until` draw, in arrays with room for `room` steps; of the
    `points` that they take, where these come from a source."""

    def drawn_by(step: Array) -> Draw:
        return batches.draw(step, None if points is None else points[step - first])

    return _drawn(drawn_by, first, until, room)


@eqx.filter_jit
def draw_together(shared: Batches, own: Batches, first: Array, until: Array, room: int) -> Draw:
    """What several flows draw, stacked in the second axis. They share the arrays of the first batches,
    and each has its own of the second."""

    def drawn_by(step: Array) -> Draw:
        return jax.vmap(lambda own: eqx.combine(own, shared).draw(step))(own)

    return _drawn(drawn_by, first, until, room)


def _drawn(drawn_by: Callable[[Array], Draw], first: Array, until: Array, room: int) -> Draw:
    shapes = jax.eval_shape(drawn_by, first)
    empty = jax.tree.map(lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), shapes)

    def body(step: Array, drawn: Draw) -> Draw:
        return jax.tree.map(lambda all, one: all.at[step - first].set(one), drawn, drawn_by(step))

    return jax.lax.fori_loop(first, until, body, empty)


@eqx.filter_jit
def indices(batches: Batches, first: Array, room: int) -> Int[Array, "room batch"]:
    """Which points `room` steps from `first` on take."""
    return jax.lax.map(batches.index, first + jnp.arange(room, dtype=jnp.int32))
