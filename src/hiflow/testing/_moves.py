"""The law of an energy's own moves: they leave its density as it is."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from hiflow.data import sample
from hiflow.groups._periods import virial
from hiflow.testing._compiled import compiled
from hiflow.testing._report import rounding

_MOVES = 10


def violations_of_moves(energy: Any, key: PRNGKeyArray, chains: int) -> Array:
    r"""How far $E[\partial V/\partial x_i] = 0$ and $E[x \cdot \nabla V] = D$ are broken after ten moves
    in a row of the ends of `chains` Hamiltonian chains, in standard errors over chains.

    The chains moved in between, as [`hiflow.data.sample`][hiflow.data.sample] has it: an acceptance that
    forgets the energy or how a proposal changes volume shows here.
    """
    key_chains, key_moves = jax.random.split(key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That these chains are short is no fault of the energy.
        drawn = sample(
            energy, key=key_chains, size=chains, chains=chains, burn_in=100, thin=10,
            leapfrog_steps=10, cache=False, progress=False,
        )  # fmt: skip
    return _scores(energy, drawn.points, jax.random.split(key_moves, chains))


def identities(energy: Any, x: Array) -> Array:
    r"""What has the mean 0 over samples of $e^{-V}$, by Stein's identities: every component of the
    gradient, and the virial less the free dimensions."""
    gradient = jax.grad(energy)(x)
    free = x.size - energy.group.null_modes(x).shape[1]
    return jnp.append(gradient.ravel(), virial(energy.group, x, gradient) - free)


@compiled
def _scores(energy: Any, x: Array, keys: Array) -> Array:
    def one(x: Array, key: Array) -> Array:
        keys = jax.random.split(key, _MOVES)
        x, _ = jax.lax.scan(lambda x, key: (energy.move(key, x), None), x, keys)
        return identities(energy, x)

    values = jax.vmap(one)(x, keys)
    error = jnp.std(values, axis=0) / jnp.sqrt(1.0 * keys.shape[0])
    scores = jnp.abs(values.mean(0)) / (error + rounding())
    return jnp.where(jnp.isfinite(scores), scores, jnp.inf)
