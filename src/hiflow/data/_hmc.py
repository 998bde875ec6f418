"""Many Hamiltonian Monte Carlo chains side by side, with one step size for all.

BlackJAX is imported where chains are run: it takes a third of the time that all else needs to start.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow._programs import compiled
from hiflow.energies import AbstractEnergy, relax


@dataclasses.dataclass(frozen=True)
class HMCSettings:
    """See [`sample`][hiflow.data.sample]."""

    chains: int
    burn_in: int
    thin: int
    leapfrog_steps: int
    target_acceptance: float


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
) -> tuple[Float[Array, "n *event"], float, float]:
    """`draws` samples of each chain, all chains' first samples first; the acceptance after burn-in
    and the step size. **Raises:** `ValueError` if the energy isn't finite at the start."""
    from rich.progress import Progress

    key_start, key_burn, key_draw = jax.random.split(key, 3)
    if start is None:
        start = _relaxed(energy, key_start, settings.chains)
    chains = _begin(energy, start)
    if not jnp.isfinite(chains.state.logdensity).all():
        raise ValueError(
            f"sample: {type(energy).__name__} isn't finite at the points where the chains start. "
            "Give `start` points where it is."
        )
    rounds = -(-settings.burn_in // settings.thin)
    kept, accepted, frozen = [], [], jnp.asarray(0.0)
    with Progress(disable=not progress, transient=True) as bar:
        task = bar.add_task("burn-in", total=rounds + draws)
        for i in range(rounds):
            # Robbins-Monro: the step follows the acceptance quickly at first, then settles.
            gain = jnp.asarray(0.5 * (1 + i) ** -0.75)
            chains, rate = _advance(energy, chains, jax.random.fold_in(key_burn, i), gain, settings)
            rate.block_until_ready()
            bar.advance(task)
        bar.update(task, description="sampling")
        for i in range(draws):
            chains, rate = _advance(
                energy, chains, jax.random.fold_in(key_draw, i), frozen, settings
            )
            kept.append(chains.state.position)
            accepted.append(float(rate))
            bar.advance(task)
    points = jnp.concatenate(kept)
    return points, sum(accepted) / draws, float(jnp.exp(chains.log_step))


@compiled()
def _relaxed(energy: AbstractEnergy, key: PRNGKeyArray, chains: int) -> Float[Array, "n *event"]:
    """Standard normal points, moved downhill."""
    project = jax.vmap(energy.group.project)
    x = project(jax.random.normal(key, (chains, *energy.event_shape)))
    return project(jax.vmap(lambda y: relax(energy, y))(x))


@compiled()
def _begin(energy: AbstractEnergy, x: Float[Array, "n *event"]) -> _Chains:
    import blackjax

    log_density = lambda x: -energy(x)  # noqa: E731
    state = jax.vmap(lambda x: blackjax.hmc.init(x, log_density))(x)
    return _Chains(state, jnp.log(jnp.asarray(0.05, x.dtype)))


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
        rate = info.acceptance_rate.mean()
        log_step = chains.log_step + gain * (rate - settings.target_acceptance)
        return _Chains(state, log_step), rate

    chains, rates = jax.lax.scan(update, chains, jax.random.split(key, settings.thin))
    position = jax.vmap(energy.group.project)(jnp.asarray(chains.state.position))
    state = chains.state._replace(position=position)
    return _Chains(state, chains.log_step), rates.mean()
