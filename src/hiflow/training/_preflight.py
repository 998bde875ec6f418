"""Everything about a training run that can be refused before any work is spent."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array

from hiflow import couplings
from hiflow.couplings import AbstractCoupling
from hiflow.energies import AbstractEnergy
from hiflow.groups import AbstractGroup
from hiflow.networks import AbstractVelocityField
from hiflow.networks._low_products import refuse_without_effect
from hiflow.paths import (
    AbstractGaussianPath,
    AbstractPath,
    ChosenNoise,
    SupportsNoise,
    choose_noise,
)
from hiflow.paths._noise import is_for
from hiflow.priors import AbstractPrior
from hiflow.standardisation import Standardised, refuse_periods
from hiflow.targets import AbstractTarget, Parts
from hiflow.time_samplers import AbstractTimeSampler
from hiflow.training._components import make_components as make_components
from hiflow.training._distinctions import check_distinctions
from hiflow.training._draws_alone import check_draws_alone
from hiflow.training._optimiser import Optimiser, Scheduled
from hiflow.training._room import refuse_a_batch_without_room
from hiflow.training._settings import Training
from hiflow.training._symmetries import check_coupling, check_periods, check_prior, check_subspace
from hiflow.training._targets import check_target


class Ready(NamedTuple):
    """The parts of a training run, made and known to fit together."""

    network: AbstractVelocityField
    path: AbstractPath
    prior: AbstractPrior
    energy: AbstractEnergy | None
    training: Training
    coupling: AbstractCoupling
    optimiser: Optimiser
    noise: ChosenNoise
    ends: tuple[int, ...]
    """The numbers of steps that were asked for: one, and another for every time a run was extended."""

    @property
    def group(self) -> AbstractGroup:
        """The symmetry of the energy, or of the prior if there is none."""
        return self.prior.group if self.energy is None else self.energy.group

    @property
    def target(self) -> AbstractTarget:
        """Made by the settings' own check."""
        assert isinstance(self.training.target, AbstractTarget)
        return self.training.target

    @property
    def parts(self) -> Parts:
        """What the target is used with."""
        return Parts(self.path, self.prior, self.coupling, self.energy)

    @property
    def time_sampler(self) -> AbstractTimeSampler:
        """Made by the settings' own check."""
        assert isinstance(self.training.time_sampler, AbstractTimeSampler)
        return self.training.time_sampler

    def extended(self, ends: tuple[int, ...]) -> "Ready":
        """The same for a run that was to end earlier before."""
        optimiser = self.optimiser
        if isinstance(optimiser, Scheduled):
            optimiser = dataclasses.replace(optimiser, earlier=ends[:-1])
        return self._replace(optimiser=optimiser, ends=ends)


def make_ready(
    network: AbstractVelocityField,
    path: AbstractPath,
    prior: AbstractPrior,
    energy: AbstractEnergy | None,
    training: Training,
) -> Ready:
    """All that needs no data. Raise `ValueError` for what doesn't fit together."""
    if energy is None:
        energy = getattr(path, "energy", None)
    _check_ignored(training)
    check_components(network, path, prior, energy)
    if training.standardise is not False:
        refuse_periods(prior.group, prior.event_shape)
    if training.stops_or_keeps and training.validate_at == ():
        raise ValueError(
            f"fit: {training.selecting} judges by validations, and `validate_at` asks for none before "
            "the end. Say after how many steps, e.g. validate_at=250."
        )
    check_draws_alone(prior, path, training)
    refuse_a_batch_without_room(training.batch_size, prior.event_shape)
    refuse_without_effect(network, training.compute)
    group = prior.group if energy is None else energy.group
    coupling = couplings.registry.make(training.coupling, group=group)
    check_coupling(network, prior, coupling)
    noise = choose_noise(path, prior, coupling)
    optimiser = training.optimiser
    if isinstance(optimiser, str):
        rate = training.learning_rate
        assert not isinstance(rate, Mapping), "the settings' own check makes a schedule of it"
        optimiser = Scheduled(optimiser, rate, training.warmup, training.clip, training.steps)
    ends = (training.steps,)
    ready = Ready(network, path, prior, energy, training, coupling, optimiser, noise, ends)
    check_target(ready.target, ready.parts)
    return ready


def in_units(ready: Ready, points: Array) -> tuple[Ready, Standardised | None]:
    """The parts in standardised coordinates, if the settings ask for it, and these."""
    how = ready.training.standardise
    if how is False:
        return ready, None
    units = Standardised.of(
        jnp.asarray(points), group=ready.group, how=how, width=float(_width(ready.prior))
    )
    path, energy = units.of_energies((ready.path, ready.energy))
    return ready._replace(path=path, energy=energy), units


def _width(prior: AbstractPrior) -> Array:
    """The prior's standard deviation in the directions that its group leaves free."""
    drawn = jax.vmap(prior.sample)(jax.random.split(jax.random.key(0), 256))
    free = drawn[0].size - prior.group.null_modes(drawn[0]).shape[1]
    known = getattr(prior, "scale", None)
    if known is not None and jnp.ndim(known) == 0:
        return known
    return jnp.sqrt(jnp.sum((drawn - drawn.mean(axis=0)) ** 2) / (len(drawn) * free))


def check_selection(training: Training, validates: bool) -> None:
    """Raise `ValueError` if validations are asked for and there are no points for them."""
    if validates:
        return
    if training.selects:
        raise ValueError(
            f"fit: {training.selecting} judges by the NLL of held-out points: pass `validation`, and "
            "don't test on the same points."
        )
    if training.validate_at != ():
        raise ValueError(
            f"fit: `validate_at` is {training.validate_at}, and there are no points for it. Pass "
            "`validation`, or leave it out."
        )


def _check_ignored(training: Training) -> None:
    """Raise `ValueError` for settings that others would leave without effect."""
    ignored, by = (), ""
    if not isinstance(training.optimiser, str):
        ignored, by = ("learning_rate", "warmup", "clip"), "an `optimiser` of your own"
    elif callable(training.learning_rate):
        ignored, by = ("warmup",), "a schedule as `learning_rate`"
    defaults = Training()
    lost = [name for name in ignored if getattr(training, name) != getattr(defaults, name)]
    if lost:
        words = ", ".join(f"`{name}`" for name in lost)
        raise ValueError(
            f"fit: {by} leaves {words} without effect. Say them in it "
            "(optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))), or leave them out."
        )


def check_mesh(mesh: Mesh | None, checkpoints: bool) -> bool:
    """Whether a mesh is of several processes; raise `ValueError` unless all have a part in it, or this
    one alone."""
    if mesh is None:
        return False
    parts = {device.process_index for device in mesh.devices.flat}
    if len(parts) == jax.process_count():
        return len(parts) > 1
    if parts != {jax.process_index()}:
        raise ValueError(
            f"fit: `mesh` must have devices of all {jax.process_count()} processes, or of this one "
            f"alone (jax.local_devices()); it has those of {sorted(parts)}."
        )
    if checkpoints:
        raise ValueError(
            "fit: `checkpoint_dir` is written by all processes together, and `mesh` is of this one "
            "alone. Leave one of them out."
        )
    return False


def warn_of_own_noise(path: AbstractPath, noise: ChosenNoise) -> None:
    """Say so where a path that left its noise open doesn't get the prior sample's."""
    if noise.own and noise.reason is not None:
        warnings.warn(
            f"fit: {noise.reason}. The end law of `path` ({type(path).__name__}) gets noise of its own "
            "instead; say noise='own' to choose this and not be told.",
            stacklevel=3,
        )


def check_components(
    network: AbstractVelocityField,
    path: AbstractPath,
    prior: AbstractPrior,
    energy: AbstractEnergy | None,
) -> None:
    """Raise `ValueError` unless the components are for the same events, scale and symmetry."""
    _check_shapes(prior.event_shape, network=network, energy=energy)
    if isinstance(path, AbstractGaussianPath):
        _check_scale(prior, path)
    if energy is not None:
        check_prior(prior, energy)
    check_subspace(network, prior)
    check_periods(network, prior, energy, getattr(path, "energy", None))
    if energy is not None:
        check_distinctions(network, prior, energy)


def _check_shapes(
    event_shape: tuple[int, ...], **components: AbstractVelocityField | AbstractEnergy | None
) -> None:
    """Raise `ValueError` unless all components are for the prior's events."""
    for name, component in components.items():
        if component is not None and tuple(component.event_shape) != tuple(event_shape):
            raise ValueError(
                f"fit: `{name}` ({type(component).__name__}) is for events of shape "
                f"{tuple(component.event_shape)}, and `prior` for {tuple(event_shape)}. Build both for "
                "the same events."
            )


def _check_scale(prior: AbstractPrior, path: AbstractGaussianPath) -> None:
    scale = getattr(prior, "scale", None)
    if scale is None or jnp.allclose(scale, path.prior_scale):
        return
    own = isinstance(path, SupportsNoise) and path.noise == "own"
    if is_for(path, prior) and not own:
        raise ValueError(
            f"fit: `path` assumes a prior of scale {path.prior_scale} and `prior` has {scale}. Pass "
            f"prior_scale={scale} to {type(path).__name__}."
        )
