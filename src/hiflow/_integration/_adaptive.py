"""One sample's adaptive solve, step by step: diffrax's controller around our own step."""

from typing import Any, NamedTuple

import diffrax
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from hiflow._integration._problem import Field, Interval, Rates
from hiflow._integration._runge_kutta import Tableau, step

MOST_STEPS = 4096
FIRST_STEP = 0.01


class Lane(NamedTuple):
    """Where a sample's solve is: `tau` is the share of the interval that lies behind, `ahead` where the
    next step would end."""

    tau: Float[Array, ""]
    ahead: Float[Array, ""]
    x: Float[Array, "*event"]
    gained: PyTree
    first: Rates | None
    drawn: PyTree
    control: PyTree
    accepted: Int[Array, ""]
    rejected: Int[Array, ""]


class Adaptive(NamedTuple):
    """Everything that a step needs beside the lane."""

    field: Field
    interval: Interval
    method: Any
    controller: diffrax.PIDController

    @property
    def tableau(self) -> Tableau:
        """The method's."""
        return Tableau.of(self.method)

    def first(self, x: Float[Array, "*event"], drawn: PyTree) -> Rates | None:
        """The rates at the start, if the method's first stage is the last of the step before."""
        if not self.tableau.reuses:
            return None
        at = self.interval.at(jnp.zeros((), x.dtype))
        return jax.tree.map(lambda leaf: leaf.astype(x.dtype), self.field.both(at, x, drawn))

    def begin(self, x: Float[Array, "*event"], drawn: PyTree, first: Rates | None) -> Lane:
        """The lane of a sample before its first step."""
        zero = jnp.zeros((), x.dtype)
        rates = jax.eval_shape(self.field.both, zero, x, drawn)
        gained = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, x.dtype), rates[1])
        none = jnp.zeros((), jnp.int32)
        term = diffrax.ODETerm(self.field.velocity)
        ahead, control = self.controller.init(
            term, zero, zero + 1, x, zero + FIRST_STEP, None, self.method.func, self._order
        )
        control = jax.tree.map(jnp.asarray, control)
        return Lane(zero, jnp.asarray(ahead), x, gained, first, drawn, control, none, none)

    def going(self, lane: Lane) -> Bool[Array, ""]:
        """Whether a lane has steps to make, and makes any headway."""
        return (
            (lane.tau < 1) & (lane.accepted + lane.rejected < MOST_STEPS) & (lane.ahead > lane.tau)
        )

    def advance(self, lane: Lane) -> Lane:
        """The lane after one more step, accepted or rejected."""
        length = self.interval.end - self.interval.start
        times = self.interval.at(lane.tau), self.interval.at(lane.ahead)
        h = length * (lane.ahead - lane.tau)
        made = step(self.tableau, self.field, times, h, lane.x, lane.drawn, lane.first)
        error = jax.tree.map(lambda e: jnp.where(jnp.isnan(e), jnp.inf, e), made.error)
        gained = jax.tree.map(jnp.add, lane.gained, made.gained)
        kept, tau, ahead, _, control, _ = self.controller.adapt_step_size(
            lane.tau, lane.ahead, (lane.x, lane.gained), (made.x, gained), None, error,
            self._order, lane.control,
        )  # fmt: skip
        first = made.last if self.tableau.reuses else None
        x, gained, first = jax.tree.map(
            lambda new, old: jnp.where(kept, new, old),
            (made.x, gained, first),
            (lane.x, lane.gained, lane.first),
        )
        tau = jnp.minimum(tau, 1)
        counts = lane.accepted + kept, lane.rejected + ~kept
        ahead = _clipped(tau, ahead, kept)
        return Lane(tau, ahead, x, gained, first, lane.drawn, control, *counts)

    def run(self, lane: Lane) -> Lane:
        """The lane at its end, differentiable by going back step by step from checkpoints."""
        return eqxi.while_loop(
            self.going, self.advance, lane, max_steps=MOST_STEPS, kind="checkpointed"
        )

    def evaluations(self, lane: Lane) -> Int[Array, ""]:
        """Of the velocity, that the lane's steps made. With first-same-as-last reuse the start's
        counts once, and every step's first is there, also after a rejection."""
        steps, stages = lane.accepted + lane.rejected, self.tableau.stages
        return 1 + steps * (stages - 1) if self.tableau.reuses else steps * stages

    @property
    def _order(self) -> Any:
        return self.method.error_order(diffrax.ODETerm(self.field.velocity))


def _clipped(tau: Array, ahead: Any, kept: Any) -> Array:
    """The next step's end, not past the interval's, nor so near to it that rounding would be left.
    After a rejection half of what is left, so that the same step isn't tried again."""
    close = ahead > 1 - 100 * jnp.finfo(tau.dtype).eps
    return jnp.where(close, jnp.where(kept, 1.0, tau + 0.5 * (1 - tau)), ahead)
