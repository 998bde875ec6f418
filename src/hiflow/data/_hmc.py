"""Many Hamiltonian Monte Carlo chains side by side, with one step size for all.

BlackJAX is imported where chains are run: it takes a third of the time that all else needs to start.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow._programs import compiled
from hiflow.data._mixing import Mixing, mixing
from hiflow.energies import AbstractEnergy, SupportsMoves, relax
from hiflow.energies._gradient import GRADIENT_CURE

# R-hat needs no more of the chains' history.
_TRACED = 64


@dataclasses.dataclass(frozen=True)
class HMCSettings:
    """See [`sample`][hiflow.data.sample]."""

    chains: int
    burn_in: int
    thin: int
    leapfrog_steps: int
    target_acceptance: float
    first_step: float = 0.05


class Draws(NamedTuple):
    """What a sampler's chains gave."""

    points: Float[Array, "n *event"]
    """All chains' first samples first."""
    acceptance: float
    """After burn-in."""
    step_size: float
    mixing: Mixing
    swapped: float | None = None
    """The share of exchanges between temperatures that were accepted."""


class _Chains(NamedTuple):
    state: Any  # blackjax.mcmc.hmc.HMCState, with a leading chain axis
    log_step: Float[Array, ""]


def run_chains(
    energy: AbstractEnergy,
    key: PRNGKeyArray,
    draws: int,
    settings: HMCSettings,
    start: Array | None,
    progress: bool,
) -> Draws:
    """`draws` samples of each chain.

    **Raises:** `ValueError` if the energy or its gradient isn't finite at the start.
    """
    from rich.progress import Progress

    key_start, key_burn, key_draw = jax.random.split(key, 3)
    if start is None:
        start = relaxed_start(energy, key_start, settings.chains)
    chains = _begin(energy, start, settings)
    refuse_bad_start(energy, chains.state.logdensity, chains.state.logdensity_grad)
    rounds = -(-settings.burn_in // settings.thin)
    trace, accepted, frozen = Trace(rounds), [], jnp.asarray(0.0)
    with Progress(disable=not progress, transient=True) as bar:
        task = bar.add_task("burn-in", total=rounds + draws)
        for i in range(rounds):
            # Robbins-Monro: the step follows the acceptance quickly at first, then settles.
            gain = jnp.asarray(0.5 * (1 + i) ** -0.75)
            chains, rate = _advance(energy, chains, jax.random.fold_in(key_burn, i), gain, settings)
            trace.add(chains.state.position)
            bar.advance(task)
        bar.update(task, description="sampling")
        for i in range(draws):
            chains, rate = _advance(
                energy, chains, jax.random.fold_in(key_draw, i), frozen, settings
            )
            trace.add(chains.state.position)
            accepted.append(float(rate))
            bar.advance(task)
    step = float(jnp.exp(chains.log_step))
    return Draws(trace.points(), sum(accepted) / draws, step, trace.mixing(energy))


class Trace:
    """Where the chains were after every round of the second half of the burn-in, and of the draws.

    **Arguments:**

    - `rounds`: of the burn-in.
    """

    def __init__(self, rounds: int):
        self.rounds = rounds
        self._positions: list[Array] = []
        self._seen = 0

    def add(self, position: Array) -> None:
        """Where all chains are, waiting until they are there."""
        self._seen += 1
        if self._seen > self.rounds // 2:
            self._positions.append(jax.block_until_ready(position))

    def points(self) -> Float[Array, "n *event"]:
        """The draws."""
        return jnp.concatenate(self._positions[self.rounds - self.rounds // 2 :])

    def mixing(self, energy: AbstractEnergy) -> Mixing:
        """How far the chains agree."""
        stride = -(-len(self._positions) // _TRACED)
        # The last ones, whatever the stride: they are the furthest from the start.
        kept = self._positions[::-1][::stride][::-1]
        return mixing(energy, jnp.stack(kept), self.rounds / stride)


def refuse_bad_start(energy: AbstractEnergy, value: Array, gradient: Array) -> None:
    """Raise `ValueError` unless the energy and its gradient are finite where the chains start."""
    name = type(energy).__name__
    if not jnp.isfinite(value).all():
        raise ValueError(
            f"sample: {name} isn't finite at the points where the chains start. "
            "Give `start` points where it is."
        )
    bad = ~jnp.isfinite(gradient).reshape(gradient.shape[0], -1).all(axis=1)
    if bad.any():
        raise ValueError(
            f"sample: the gradient of {name} isn't finite at {int(bad.sum())} of {bad.size} points "
            f"where the chains start, though its value is. {GRADIENT_CURE}"
        )


@compiled()
def relaxed_start(
    energy: AbstractEnergy, key: PRNGKeyArray, chains: int
) -> Float[Array, "n *event"]:
    """The energy's own points to start from where it has them, else standard normal ones, moved
    downhill."""
    project = jax.vmap(energy.group.project)
    if isinstance(energy, SupportsMoves):
        return project(jax.vmap(energy.start)(jax.random.split(key, chains)))
    x = project(jax.random.normal(key, (chains, *energy.event_shape)))
    return project(jax.vmap(lambda y: relax(energy, y))(x))


@compiled()
def _begin(energy: AbstractEnergy, x: Float[Array, "n *event"], settings: HMCSettings) -> _Chains:
    import blackjax

    log_density = lambda x: -energy(x)  # noqa: E731
    state = jax.vmap(lambda x: blackjax.hmc.init(x, log_density))(x)
    return _Chains(state, jnp.log(jnp.asarray(settings.first_step, x.dtype)))


@compiled()
def _advance(
    energy: AbstractEnergy,
    chains: _Chains,
    key: PRNGKeyArray,
    gain: Float[Array, ""],
    settings: HMCSettings,
) -> tuple[_Chains, Float[Array, ""]]:
    """`thin` updates of every chain, and their mean acceptance.

    The step size varies by a fifth from update to update, alike for all chains, so that no mode's
    period can resonate with the length of a trajectory. The energy is flat along null modes and
    the mass is isotropic: they move freely, take no part in the acceptance, and are projected out.
    """
    import blackjax

    kernel = blackjax.hmc.build_kernel()
    start = jnp.asarray(chains.state.position)
    mass = jnp.ones(start[0].size, start.dtype)

    def update(chains: _Chains, key: Array) -> tuple[_Chains, Array]:
        key_step, key_chains = jax.random.split(key)
        keys = jax.random.split(key_chains, settings.chains)
        jitter = jax.random.uniform(key_step, minval=0.8, maxval=1.2)
        step = jnp.exp(chains.log_step) * jitter.astype(mass.dtype)

        def one(key: Array, state: PyTree):
            return kernel(key, state, lambda x: -energy(x), step, mass, settings.leapfrog_steps)

        state, info = jax.vmap(one)(keys, chains.state)
        if isinstance(energy, SupportsMoves):
            state = _moved(energy, jax.random.fold_in(key_chains, 1), state)
        rate = info.acceptance_rate.mean()
        log_step = chains.log_step + gain * (rate - settings.target_acceptance)
        return _Chains(state, log_step), rate

    chains, rates = jax.lax.scan(update, chains, jax.random.split(key, settings.thin))
    position = jax.vmap(energy.group.project)(jnp.asarray(chains.state.position))
    state = chains.state._replace(position=position)
    return _Chains(state, chains.log_step), rates.mean()


def _moved(energy: Any, key: PRNGKeyArray, state: Any) -> Any:
    """The energy's own move of every chain."""
    import blackjax

    keys = jax.random.split(key, len(state.position))
    x = jax.vmap(energy.move)(keys, state.position)
    return jax.vmap(lambda x: blackjax.hmc.init(x, lambda y: -energy(y)))(x)
