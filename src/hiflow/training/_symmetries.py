"""Whether prior, network and coupling have symmetries that go together."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from hiflow._programs import compiled
from hiflow.couplings import AbstractCoupling
from hiflow.energies import AbstractEnergy, SupportsFitting
from hiflow.groups import AbstractGroup, linear_part
from hiflow.groups._periods import periods_of, turns_of
from hiflow.networks import AbstractVelocityField
from hiflow.networks._perturbed import perturbed
from hiflow.priors import AbstractPrior, has_density
from hiflow.priors._density import change_of_moments


def check_prior(prior: AbstractPrior, energy: AbstractEnergy) -> None:
    """Raise `ValueError` unless the prior has the energy's symmetry."""
    if not has_density(prior):
        _check_draws(prior, energy)
        return
    for seed in range(4):
        difference, size = _change_under_symmetry(prior, energy, jax.random.key(seed))
        if difference > 1e-3 * (1 + size):
            raise ValueError(
                f"fit: `prior` ({type(prior).__name__}) is not invariant under {energy.group}, the "
                f"symmetry of {type(energy).__name__}: its log density changed by {difference:.3g}. "
                "For particles use CentredNormal(particles, dim)."
            )


def _check_draws(prior: AbstractPrior, energy: AbstractEnergy) -> None:
    change = change_of_moments(prior, energy.group, jax.random.key(0))
    if not change < 7:
        raise ValueError(
            f"fit: `prior` ({type(prior).__name__}) is not invariant under {energy.group}, the symmetry "
            f"of {type(energy).__name__}: a moment of its draws changed by {change:.3g} standard "
            "errors. Give it the symmetry, as EmpiricalPrior(points, group=energy.group)."
        )


def check_periods(
    network: AbstractVelocityField, prior: AbstractPrior, *energies: AbstractEnergy | None
) -> None:
    """Raise `ValueError` unless energies and network have the prior's periods: densities are normalised
    over one of each."""
    shape = prior.event_shape
    if (periods := periods_of(prior.group, shape)) is None:
        return
    for energy in energies:
        known = periods if energy is None else periods_of(energy.group, shape)
        if energy is not None and (known is None or not jnp.array_equal(known, periods)):
            raise ValueError(_without_periods(energy, prior))
    if has_density(prior):
        turns: Any = turns_of(prior.group)
        for seed in range(4):
            off, size = _inequivariance(network, prior, turns, jax.random.key(seed))
            if off > 1e-2 * (1 + size):
                raise ValueError(
                    f"fit: `network` ({type(network).__name__}) isn't periodic where `prior` "
                    f"({type(prior).__name__}) is: its velocities change by {off:.3g} over whole "
                    "periods, so the flow's density wouldn't be normalised over one. Give it sines and "
                    "cosines of these coordinates, as PeriodicMLP of hiflow-robotics has them."
                )


def _without_periods(energy: AbstractEnergy, prior: AbstractPrior) -> str:
    name = type(energy).__name__
    cure = f"Give it the group: {name}(..., group=prior.group), if it has that symmetry."
    if isinstance(energy, SupportsFitting):
        cure = (
            f"Fit it around the circle: hiflow.energies.Wrapped.fit(points, family={name}, "
            "group=prior.group, ...)."
        )
    return (
        f"fit: `prior` ({type(prior).__name__}) has coordinates with a period, and `energy` ({name}) "
        f"doesn't know of these periods: its group is {type(energy.group).__name__}. {cure}"
    )


def check_subspace(network: AbstractVelocityField, prior: AbstractPrior) -> None:
    """Raise `ValueError` if velocities leave the prior's subspace."""
    x = prior.sample(jax.random.key(0))
    velocity = _velocity(network, x)
    off = jnp.abs(velocity - prior.group.project(velocity)).max()
    if off > 1e-3 * (1 + jnp.abs(velocity).max()):
        raise ValueError(
            f"fit: `network` ({type(network).__name__}) leaves the subspace of {type(prior).__name__} "
            f"by {off:.3g}. Use EGNN, or give the network the projection: "
            "MLP(..., projects_on=prior.group)."
        )


def check_coupling(
    network: AbstractVelocityField, prior: AbstractPrior, coupling: AbstractCoupling
) -> None:
    """Raise `ValueError` if a coupling moves prior samples as the network doesn't."""
    group = getattr(coupling, "group", None)
    if group is None:
        return
    for seed in range(4):
        off, size = _inequivariance(network, prior, group, jax.random.key(seed))
        if off > 1e-2 * (1 + size):
            raise ValueError(
                f"fit: `coupling` ({type(coupling).__name__}) moves prior samples by {group}, and "
                f"`network` ({type(network).__name__}) isn't equivariant under it: velocities differ by "
                f"{off:.3g}, so the flow would no longer start from the prior. Use EGNN for particles, "
                "the coupling SymmetryAligned(network.group), or 'minibatch-ot'."
            )


# Compiled once for all arms: a run checks its components when it is read and again in `fit`.
@compiled()
def _change_under_symmetry(
    prior: AbstractPrior, energy: AbstractEnergy, key: PRNGKeyArray
) -> tuple[Array, Array]:
    x, moved = sample_and_moved(prior, energy.group, key)
    before = prior.log_prob(x)
    return jnp.abs(prior.log_prob(moved) - before), jnp.abs(before)


def sample_and_moved(
    prior: AbstractPrior, group: AbstractGroup, key: PRNGKeyArray
) -> tuple[Array, Array]:
    """A prior sample, and the same moved by a random element of a group."""
    key_x, key_g = jax.random.split(key)
    x = prior.sample(key_x)
    return x, group.act(group.sample(key_g, prior.event_shape), x)


@eqx.filter_jit
def _inequivariance(
    network: AbstractVelocityField, prior: AbstractPrior, group: AbstractGroup, key: PRNGKeyArray
) -> tuple[Array, Array]:
    """Of the network with perturbed weights: fresh ones often give 0, which is equivariant."""
    k_x, k_g, k_noise = jax.random.split(key, 3)
    network = perturbed(network, k_noise, 0.1)
    x, g = prior.sample(k_x), group.sample(k_g, prior.event_shape)
    velocity = _velocity(network, x)
    turned = linear_part(group, g, velocity)
    there = _velocity(network, prior.group.project(group.act(g, x)))
    return jnp.abs(there - turned).max(), jnp.abs(velocity).max()


@eqx.filter_jit
def _velocity(network: AbstractVelocityField, x: Array) -> Array:
    return network(jnp.asarray(0.5, x.dtype), x)
