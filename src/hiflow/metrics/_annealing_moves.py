r"""The moves of annealing: trajectories of Hamiltonian dynamics of all samples at once, with a test.

From a point $x$ and a momentum $p \sim N(0, P)$, so many leapfrog steps along slopes $s(x)$, then
Metropolis's test with $\log \pi_\beta(x) - |p|^2/2$. A leapfrog step keeps volumes and is its own way
back whatever $s$ is, so the law $\pi_\beta$ stays as it is with slopes of another one too; they cost
acceptance alone. A single step is a Langevin move.
"""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.energies import AbstractEnergy

Slopes = Literal["both", "energy"]
# In many dimensions the best for Langevin moves (Roberts, Rosenthal, J. R. Stat. Soc. B 60, 255, 1998),
# and for longer trajectories (Beskos et al., Bernoulli 19, 1501, 2013).
_ACCEPTED_OF_ONE, _ACCEPTED_OF_MORE = 0.574, 0.651
# How fast the step's logarithm follows the acceptance.
_GAIN = 0.5


class State(NamedTuple):
    """Where all samples are, and what is known there."""

    x: Float[Array, "n *event"]
    energy: Float[Array, " n"]
    log_prob: Float[Array, " n"]
    energy_gradient: Float[Array, "n *event"]
    log_prob_gradient: Float[Array, "n *event"]

    @property
    def log_ratio(self) -> Float[Array, " n"]:
        """What a weight gains from 0 to 1."""
        return -self.energy - self.log_prob

    def log_density(self, beta: Array) -> Float[Array, " n"]:
        r"""$\log \pi_\beta$, not normalised; without the flow's part at 1, where it isn't known."""
        return jnp.where(beta < 1, (1 - beta) * self.log_prob, 0) - beta * self.energy

    def slope(self, beta: Array) -> Float[Array, "n *event"]:
        """Its gradient, 0 where it isn't finite: such points move by chance."""
        whole = (
            jnp.where(beta < 1, (1 - beta) * self.log_prob_gradient, 0)
            - beta * self.energy_gradient
        )
        return jnp.where(jnp.isfinite(whole), whole, 0)


class Law(eqx.Module):
    """What the states are of.

    **Arguments:**

    - `settings`: of the flow's solver.
    - `slopes`: of both densities, or those of the energy in place of the flow's: then the flow's density
      is taken once for a trajectory, and never differentiated.
    """

    flow: Any
    energy: AbstractEnergy
    settings: Any
    slopes: Slopes = eqx.field(static=True)

    @eqx.filter_jit
    def state(self, x: Float[Array, "n *event"]) -> State:
        """All that is known at the points."""
        value, gradient = self._of_energy(x)
        log_prob, slope = self._of_flow(x, gradient)
        return State(x, value, log_prob, gradient, slope)

    def _of_energy(self, x: Array) -> tuple[Array, Array]:
        return jax.vmap(jax.value_and_grad(self.energy))(x)

    def _of_flow(self, x: Array, energy_gradient: Array) -> tuple[Array, Array]:
        if self.slopes == "energy":
            return self.flow.log_prob(x, **self.settings), -energy_gradient

        def summed(x: Array) -> tuple[Array, Array]:
            log_prob = self.flow.log_prob(x, **self.settings)
            return jnp.sum(log_prob), log_prob

        slope, log_prob = jax.grad(summed, has_aux=True)(x)
        return log_prob, slope

    def on_the_way(self, x: Array, before: State, annealing: bool) -> State:
        """What a step within a trajectory needs, and the rest as it was."""
        if annealing and self.slopes == "both":
            return self.state(x)
        return self._state_of_energy(x, before, annealing)

    def at_the_end(self, state: State, annealing: bool) -> State:
        """The same with what the test needs."""
        if annealing and self.slopes == "energy":
            return state._replace(log_prob=self._log_prob(state.x))
        return state

    @eqx.filter_jit
    def _state_of_energy(self, x: Array, before: State, annealing: bool) -> State:
        value, gradient = self._of_energy(x)
        # At 1 nothing is known of the flow's density, and nothing is needed.
        slope = -gradient if annealing else before.log_prob_gradient
        return State(x, value, before.log_prob, gradient, slope)

    @eqx.filter_jit
    def _log_prob(self, x: Array) -> Array:
        return self.flow.log_prob(x, **self.settings)


# Its parts are compiled apart from each other: the flow's density and gradient are then one program
# for the start and for all steps, whose compilation may take longer than all else.
def moved(
    law: Law,
    now: State,
    key: PRNGKeyArray,
    beta: Float[Array, ""],
    log_step: Float[Array, ""],
    leapfrog_steps: int,
    annealing: bool,
) -> tuple[State, Float[Array, ""], Float[Array, ""]]:
    """A trajectory of every sample; the step after it, and the acceptance.

    **Arguments:**

    - `annealing`: whether `beta` is below 1.
    """
    key_momentum, key_test = jax.random.split(key)
    momentum, step = _drawn(law.energy, now, key_momentum, log_step)
    then, p = now, momentum
    for _ in range(leapfrog_steps):
        p, x = _kicked_and_drifted(then, p, beta, step)
        then = law.on_the_way(x, then, annealing)
        p = _kicked(then, p, beta, step)
    then = law.at_the_end(then, annealing)
    then, rate = _tested(now, then, momentum, p, key_test, beta)
    wanted = _ACCEPTED_OF_ONE if leapfrog_steps == 1 else _ACCEPTED_OF_MORE
    return then, log_step + _GAIN * (rate - wanted), rate


@eqx.filter_jit
def _drawn(
    energy: AbstractEnergy, now: State, key: PRNGKeyArray, log_step: Float[Array, ""]
) -> tuple[Float[Array, "n *event"], Float[Array, ""]]:
    """Momenta, and a step of no fixed length, so that no mode's period can be a trajectory's."""
    key_momentum, key_step = jax.random.split(key)
    noise = jax.random.normal(key_momentum, now.x.shape, now.x.dtype)
    step = jnp.exp(log_step) * jax.random.uniform(key_step, minval=0.8, maxval=1.2)
    return jax.vmap(energy.group.project)(noise), step.astype(now.x.dtype)


@eqx.filter_jit
def _kicked(state: State, p: Array, beta: Array, step: Array) -> Float[Array, "n *event"]:
    return p + step / 2 * state.slope(beta)


@eqx.filter_jit
def _kicked_and_drifted(
    state: State, p: Array, beta: Array, step: Array
) -> tuple[Float[Array, "n *event"], Float[Array, "n *event"]]:
    p = p + step / 2 * state.slope(beta)
    return p, state.x + step * p


@eqx.filter_jit
def _tested(
    now: State, then: State, momentum: Array, p: Array, key: PRNGKeyArray, beta: Array
) -> tuple[State, Float[Array, ""]]:
    """The states after Metropolis's test, and the mean probability to pass it."""
    change = then.log_density(beta) - now.log_density(beta)
    change += (_squares(momentum) - _squares(p)) / 2
    probability = jnp.where(jnp.isnan(change), 0, jnp.exp(jnp.minimum(change, 0)))
    accepted = jax.random.uniform(key, change.shape) < probability

    def chosen(new: Array, old: Array) -> Array:
        return jnp.where(accepted.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(chosen, then, now), jnp.mean(probability)


def _squares(x: Float[Array, "n *event"]) -> Float[Array, " n"]:
    return jnp.sum(x.reshape(x.shape[0], -1) ** 2, axis=1)
