"""What one training step draws and does, and many of them in one jitted call."""

import dataclasses
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, UInt32

from hiflow._programs import compiled
from hiflow.couplings import AbstractCoupling, SupportsJitter, SupportsKinds
from hiflow.data import Source
from hiflow.groups import AbstractGroup, linear_part
from hiflow.networks._low_products import computing_in
from hiflow.paths import AbstractPath
from hiflow.paths._noise import draw_anchors
from hiflow.priors import AbstractPrior
from hiflow.targets import AbstractTarget, Pair, Plain
from hiflow.time_samplers import AbstractTimeSampler
from hiflow.training._layout import Layout
from hiflow.training._schedules import LearningRate


class State(eqx.Module):
    """All that changes from step to step."""

    parameters: PyTree
    average: PyTree
    optimiser: PyTree
    step: Array

    @property
    def done(self) -> int:
        """How many steps lie behind; states that are stacked have all done as many."""
        return int(np.asarray(self.step).flat[0])


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


@dataclasses.dataclass(frozen=True)
class Scheduled:
    """An Optax optimiser by name, behind clipping and a warm-up-cosine schedule, or one of its own.

    Hashable, so that runs which differ in their seed or data alone share one compiled step.

    **Arguments:**

    - `earlier`: where the run was to end before it was extended; the schedule begins again after each.
    """

    name: str
    learning_rate: LearningRate
    warmup: int
    clip: float
    steps: int
    earlier: tuple[int, ...] = ()

    def transformation(self) -> optax.GradientTransformation:
        """The optimiser."""
        optimiser = getattr(optax, self.name)(self.schedule())
        return optax.chain(optax.clip_by_global_norm(self.clip), optimiser)

    def schedule(self) -> optax.Schedule:
        """The learning rate by step."""
        if callable(self.learning_rate):
            return self.learning_rate
        starts, ends = (0, *self.earlier), (*self.earlier, self.steps)
        stretches = [self._over(end - start) for start, end in zip(starts, ends, strict=True)]
        return optax.join_schedules(stretches, list(self.earlier))

    def _over(self, steps: int) -> optax.Schedule:
        assert not callable(self.learning_rate)
        peak, warmup = self.learning_rate, min(self.warmup, steps // 2)
        return optax.warmup_cosine_decay_schedule(0.0, peak, warmup, steps, 0.01 * peak)


Optimiser = Scheduled | optax.GradientTransformation


class Recipe(eqx.Module):
    """What a step does with a batch: nothing here changes during a run."""

    anchors: PyTree
    """Of all points; `None` where every draw brings its own."""
    path: AbstractPath
    static: PyTree
    symmetry: AbstractGroup | None
    optimiser: Optimiser = eqx.field(static=True)
    ema: float = eqx.field(static=True)
    own_noise: bool = eqx.field(static=True, default=False)
    layout: Layout = eqx.field(static=True, default=Layout())
    target: AbstractTarget = Plain()
    compute: str = eqx.field(static=True, default="auto")

    @property
    def transformation(self) -> optax.GradientTransformation:
        """The Optax optimiser."""
        return _transformation(self.optimiser)

    def loss(self, parameters: PyTree, batch: PyTree) -> Array:
        """The mean weighted squared error per dimension."""
        t, weight, x, target, condition = batch
        told = () if condition is None else (condition,)
        network = computing_in(eqx.combine(parameters, self.static), self.compute)
        velocity = jax.vmap(network)(t, x, *told)
        errors = jnp.sum((velocity - target).reshape(t.shape[0], -1) ** 2, axis=1)
        return jnp.sum(weight * errors) / x.size

    def batch(self, draw: Draw) -> tuple[Array, Array, Array, Array, PyTree]:
        """Times, weights, points, target velocities and conditions."""
        anchors = self._anchors(draw)
        if self.own_noise:
            anchors = draw_anchors(self.path, anchors, jax.vmap(jax.random.key)(draw.seeds))
        x, target = jax.vmap(lambda *pair: self.target(self.path, Pair(*pair)))(
            draw.x0, anchors, draw.t, draw.index, draw.seeds, draw.jitter
        )
        if (group := self.symmetry) is not None:
            turn = jax.vmap(lambda g, y: linear_part(group, g, y))
            x, target = turn(draw.turns, x), turn(draw.turns, target)
        return draw.t, draw.weight, x, target, draw.condition

    def _anchors(self, draw: Draw) -> PyTree:
        """Of the batch, in the precision that the step computes in."""
        kept = draw.anchors
        if self.anchors is not None:
            kept = self.layout.rows(self.anchors, draw.index)
        # From here on everything is compiled alike, so the result is the same from memory and disk.
        kept = jax.lax.optimization_barrier(kept)
        return jax.tree.map(
            lambda leaf: leaf.astype(draw.x0.dtype) if leaf.dtype == jnp.float16 else leaf, kept
        )

    def step(self, state: State, draw: Draw) -> tuple[State, Array]:
        """One update."""
        batch, weights = self.batch(draw), self.layout.whole(state.parameters)
        loss, gradient = self.layout.value_and_gradient(self.loss, weights, batch)
        gradient = self.layout.kept(gradient)
        updates, memory = self.transformation.update(gradient, state.optimiser, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)
        # The average's memory grows to that of `ema`, so that it forgets the initial weights.
        decay = jnp.minimum(self.ema, (1 + state.step) / (10 + state.step))
        average = jax.tree.map(
            lambda old, new: decay * old + (1 - decay) * new, state.average, parameters
        )
        return self.layout.kept(State(parameters, average, memory, state.step + 1)), loss


def initial_state(parameters: PyTree, optimiser: Optimiser) -> State:
    """The state before the first step, in buffers of its own, since the step donates them."""
    copy, average = (jax.tree.map(jnp.copy, parameters) for _ in range(2))
    return State(copy, average, _transformation(optimiser).init(copy), jnp.zeros((), jnp.int32))


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


@compiled(donate=(1,))
def advance(kept: tuple[Recipe, Draw, Array], state: State) -> tuple[State, Array]:
    """Train up to a step; the new state and the mean loss on the way."""
    recipe, draws, until = kept
    return _through(recipe.step, draws, state, state.step, until)


@compiled(donate=(1,))
def advance_together(
    kept: tuple[Recipe, Recipe, Draw, Array], states: State
) -> tuple[State, Float[Array, " flows"]]:
    """The same for several flows at once. Of the first recipe they share the arrays, and each has its
    own of the second; states and losses are stacked, and draws are so in their second axis."""
    shared, own, draws, until = kept

    @jax.vmap
    def step(own: Recipe, state: State, draw: Draw) -> tuple[State, Array]:
        return eqx.combine(own, shared).step(state, draw)

    # All are at the same step: one loop, whose end isn't asked for flow by flow.
    return _through(partial(step, own), draws, states, states.step[0], until)


def _through(
    step: Callable[[State, Draw], tuple[State, Array]],
    draws: Draw,
    state: State,
    first: Array,
    until: Array,
) -> tuple[State, Array]:
    """Steps from `first` to before `until`, and their mean loss."""

    def drawn(number: Array) -> Draw:
        return jax.tree.map(lambda leaf: leaf[number - first], draws)

    # The coming draw is carried along: read where it is used, XLA reads it anew for each of its uses.
    def body(number: Array, carry: tuple[State, Array, Draw]) -> tuple[State, Array, Draw]:
        state, total, draw = carry
        state, loss = step(state, draw)
        return state, total + loss, drawn(number + 1)

    none = jnp.zeros(state.step.shape)
    state, total, _ = jax.lax.fori_loop(first, until, body, (state, none, drawn(first)))
    return state, total / (until - first)


def _transformation(optimiser: Optimiser) -> optax.GradientTransformation:
    return optimiser.transformation() if isinstance(optimiser, Scheduled) else optimiser
