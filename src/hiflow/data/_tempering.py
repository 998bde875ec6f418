r"""Parallel tempering: replicas of every chain at higher temperatures cross the barriers for it.

Replica $k$ samples $e^{-\beta_k V}$ by Hamiltonian Monte Carlo, $1 = \beta_0 > \beta_1 > \dots$; after
every update neighbours exchange their points with probability
$\min(1, e^{(\beta_k - \beta_{k+1})(V_k - V_{k+1})})$, even pairs and odd pairs in turn (Syed et al.,
J. R. Stat. Soc. B 84, 321, 2022), which leaves all laws as they are.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow._programs import compiled
from hiflow.data._hmc import Draws, HMCSettings, Trace, refuse_bad_start, relaxed_start
from hiflow.energies import AbstractEnergy, SupportsMoves


class _Replicas(NamedTuple):
    x: Float[Array, "chains replicas *event"]
    value: Float[Array, "chains replicas"]
    gradient: Float[Array, "chains replicas *event"]
    log_step: Float[Array, " replicas"]
    updates: Int[Array, ""]


def inverse_temperatures(tempering: object, free: int) -> tuple[float, ...]:
    """The ladder: as given, or from 1 down to a number, evenly in the logarithm and so densely that
    neighbours exchange often in `free` dimensions.

    **Raises:** `ValueError` unless it falls from 1 and stays above 0.
    """
    given: list[Any] = [1.0, tempering]
    ladder = isinstance(tempering, Sequence) and not isinstance(tempering, str)
    if ladder:
        given = list(cast(Sequence[Any], tempering))
    numbers = all(isinstance(beta, int | float) for beta in given)
    falls = numbers and all(0 < low < high for high, low in itertools.pairwise(given))
    if len(given) < 2 or given[0] != 1 or not falls:
        raise ValueError(
            "sample: `tempering` must be the smallest inverse temperature, in (0, 1), or all of them, "
            f"from 1 down; got {tempering!r}."
        )
    if ladder:
        return tuple(float(beta) for beta in given)
    intervals = math.ceil(-math.log(given[1]) / min(0.8, 1.5 / math.sqrt(free)))
    return tuple(given[1] ** (k / intervals) for k in range(intervals + 1))


def run_tempered(
    energy: AbstractEnergy,
    key: PRNGKeyArray,
    draws: int,
    settings: HMCSettings,
    betas: tuple[float, ...],
    start: Array | None,
    progress: bool,
) -> Draws:
    """As `run_chains`, of replicas at all inverse temperatures; the draws are those at 1."""
    from rich.progress import Progress

    key_start, key_burn, key_draw = jax.random.split(key, 3)
    if start is None:
        start = relaxed_start(energy, key_start, settings.chains * len(betas))
        start = start.reshape(settings.chains, len(betas), *energy.event_shape)
    else:
        start = jnp.repeat(start[:, None], len(betas), axis=1)
    beta = jnp.asarray(betas, start.dtype)
    replicas = _begin(energy, start, settings)
    refuse_bad_start(energy, replicas.value, replicas.gradient[:, 0])
    rounds = -(-settings.burn_in // settings.thin)
    trace, accepted, frozen = Trace(rounds), [], jnp.asarray(0.0)
    with Progress(disable=not progress, transient=True) as bar:
        task = bar.add_task("tempering", total=rounds + draws)
        for i in range(rounds):
            gain, one = jnp.asarray(0.5 * (1 + i) ** -0.75), jax.random.fold_in(key_burn, i)
            replicas, _ = _advance(energy, replicas, one, gain, beta, settings)
            trace.add(replicas.x[:, 0])
            bar.advance(task)
        for i in range(draws):
            one = jax.random.fold_in(key_draw, i)
            replicas, rates = _advance(energy, replicas, one, frozen, beta, settings)
            trace.add(replicas.x[:, 0])
            accepted.append(rates)
            bar.advance(task)
    acceptance, swapped = (float(rate) for rate in jnp.mean(jnp.stack(accepted), axis=0))
    step = float(jnp.exp(replicas.log_step[0]))
    return Draws(trace.points(), acceptance, step, trace.mixing(energy), swapped)


@compiled()
def _begin(
    energy: AbstractEnergy, x: Float[Array, "chains replicas *event"], settings: HMCSettings
) -> _Replicas:
    value, gradient = jax.vmap(jax.vmap(jax.value_and_grad(energy)))(x)
    log_step = jnp.full(x.shape[1], jnp.log(settings.first_step), x.dtype)
    return _Replicas(x, value, gradient, log_step, jnp.zeros((), jnp.int32))


@compiled()
def _advance(
    energy: AbstractEnergy,
    replicas: _Replicas,
    key: PRNGKeyArray,
    gain: Float[Array, ""],
    beta: Float[Array, " replicas"],
    settings: HMCSettings,
) -> tuple[_Replicas, Float[Array, "2"]]:
    """`thin` updates of every replica, each followed by exchanges; the mean acceptance of updates at
    inverse temperature 1, and of exchanges."""

    def update(replicas: _Replicas, key: Array) -> tuple[_Replicas, Array]:
        key_move, key_swap = jax.random.split(key)
        replicas, rates = _moved(energy, replicas, key_move, beta, settings)
        if isinstance(energy, SupportsMoves):
            replicas = _with_own_moves(energy, replicas, jax.random.fold_in(key_move, 1))
        log_step = replicas.log_step + gain * (rates - settings.target_acceptance)
        replicas, swapped = _exchanged(replicas, key_swap, beta)
        return replicas._replace(log_step=log_step), jnp.stack([rates[0], swapped])

    replicas, rates = jax.lax.scan(update, replicas, jax.random.split(key, settings.thin))
    project = jax.vmap(jax.vmap(energy.group.project))
    return replicas._replace(x=project(replicas.x)), jnp.mean(rates, axis=0)


def _moved(
    energy: AbstractEnergy,
    replicas: _Replicas,
    key: PRNGKeyArray,
    beta: Float[Array, " replicas"],
    settings: HMCSettings,
) -> tuple[_Replicas, Float[Array, " replicas"]]:
    """One Hamiltonian update of every replica, and each temperature's mean acceptance."""
    import blackjax

    kernel = blackjax.hmc.build_kernel()
    chains, number = replicas.value.shape
    key_step, key_chains = jax.random.split(key)
    jitter = jax.random.uniform(key_step, minval=0.8, maxval=1.2).astype(beta.dtype)
    mass = jnp.ones(replicas.x[0, 0].size, beta.dtype)

    def one(
        key: Array, x: Array, value: Array, gradient: Array, beta: Array, log_step: Array
    ) -> tuple[Array, Array, Array, Array]:
        state = blackjax.mcmc.hmc.HMCState(x, cast(Any, -beta * value), -beta * gradient)
        step = jnp.exp(log_step) * jitter
        state, info = kernel(
            key, state, lambda y: -beta * energy(y), step, mass, settings.leapfrog_steps
        )
        gradient = jnp.asarray(state.logdensity_grad)
        return state.position, -state.logdensity / beta, -gradient / beta, info.acceptance_rate

    keys = jax.random.split(key_chains, (chains, number))
    over_replicas = jax.vmap(one)
    x, value, gradient, rates = jax.vmap(over_replicas, in_axes=(0, 0, 0, 0, None, None))(
        keys, replicas.x, replicas.value, replicas.gradient, beta, replicas.log_step
    )
    return replicas._replace(x=x, value=value, gradient=gradient), rates.mean(axis=0)


def _with_own_moves(energy: Any, replicas: _Replicas, key: PRNGKeyArray) -> _Replicas:
    """The energy's own move of every replica at inverse temperature 1."""
    keys = jax.random.split(key, len(replicas.x))
    x = jax.vmap(energy.move)(keys, replicas.x[:, 0])
    value, gradient = jax.vmap(jax.value_and_grad(energy))(x)
    return replicas._replace(
        x=replicas.x.at[:, 0].set(x),
        value=replicas.value.at[:, 0].set(value),
        gradient=replicas.gradient.at[:, 0].set(gradient),
    )


def _exchanged(
    replicas: _Replicas, key: PRNGKeyArray, beta: Float[Array, " replicas"]
) -> tuple[_Replicas, Float[Array, ""]]:
    """Neighbours exchanged, and the mean probability of it over the pairs that were tried."""
    chains, number = replicas.value.shape
    lower = jnp.arange(number - 1)
    tried = lower % 2 == replicas.updates % 2
    gap = (beta[:-1] - beta[1:]) * (replicas.value[:, :-1] - replicas.value[:, 1:])
    probability = jnp.exp(jnp.minimum(gap, 0))
    swap = tried & (jax.random.uniform(key, (chains, number - 1)) < probability)
    # Tried pairs don't overlap, so up and down moves add to a permutation.
    none = jnp.zeros((chains, 1), jnp.int32)
    up = jnp.concatenate([swap.astype(jnp.int32), none], axis=1)
    down = jnp.concatenate([none, swap.astype(jnp.int32)], axis=1)
    index = jnp.arange(number) + up - down

    def permuted(leaf: Array) -> Array:
        return jax.vmap(lambda row, at: row[at])(leaf, index)

    x, value, gradient = map(permuted, (replicas.x, replicas.value, replicas.gradient))
    mean = jnp.sum(probability * tried) / jnp.maximum(chains * jnp.sum(tried), 1)
    moved = replicas._replace(x=x, value=value, gradient=gradient, updates=replicas.updates + 1)
    return moved, mean
