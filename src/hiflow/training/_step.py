"""What one training step does, and many of them in one jitted call."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from hiflow._programs import compiled
from hiflow.groups import AbstractGroup, linear_part
from hiflow.networks._low_products import computing_in
from hiflow.paths import AbstractPath
from hiflow.paths._noise import draw_anchors
from hiflow.targets import AbstractTarget, Pair, Plain
from hiflow.training._draws import Draw
from hiflow.training._layout import Layout
from hiflow.training._optimiser import Optimiser, transformation_of


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
        return transformation_of(self.optimiser)

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
    return State(copy, average, transformation_of(optimiser).init(copy), jnp.zeros((), jnp.int32))


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
