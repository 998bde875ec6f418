"""Everything about a training run that can be refused before any work is spent."""

import dataclasses
import warnings
from collections.abc import Mapping, Sized
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array

from hiflow import couplings
from hiflow._checks import refuse_not_finite
from hiflow.couplings import AbstractCoupling, SupportsPreparation
from hiflow.data import (
    Source,
    SuspiciousDataWarning,
    shared_points,
    warn_if_inconsistent,
    warn_if_suspicious,
)
from hiflow.energies import AbstractEnergy, SupportsFitting
from hiflow.energies._gradient import refuse_bad_gradient
from hiflow.groups import AbstractGroup
from hiflow.networks import AbstractVelocityField, SupportsComplaint
from hiflow.networks._low_products import refuse_without_effect
from hiflow.paths import (
    AbstractGaussianPath,
    AbstractPath,
    ChosenNoise,
    Laplace,
    SupportsNoise,
    choose_noise,
)
from hiflow.paths._noise import is_for
from hiflow.priors import AbstractPrior
from hiflow.standardisation import Standardised, scale_complaint
from hiflow.targets import AbstractTarget, Parts
from hiflow.time_samplers import AbstractTimeSampler
from hiflow.training._components import make_components as make_components
from hiflow.training._distinctions import check_distinctions
from hiflow.training._draws_alone import check_draws_alone
from hiflow.training._room import refuse_a_batch_without_room
from hiflow.training._settings import Training
from hiflow.training._step import Optimiser, Scheduled
from hiflow.training._symmetries import check_coupling, check_prior, check_subspace
from hiflow.training._targets import FEWEST_FOR_VIRIAL, check_target

# A gradient that isn't finite by its form is so everywhere; the virial sees the other points.
_LOOKED_AT = 10
# Where data are scarce Langevin's extra spread is its point; where they are plenty, it is a bias.
_PLENTY = 1_000


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


def check_data(ready: Ready, points: dict[str, Array | None], chains: Sized | None) -> None:
    """Raise `ValueError` for data that aren't the prior's events; warn if they don't fit the energy."""
    _, path, prior, energy = ready[:4]
    for name, array in points.items():
        if array is not None:
            check_points(array, prior, argument=name)
    data = points["data"]
    assert data is not None
    warn_if_suspicious(data, chains, subject="fit: `data`")
    if not ready.training.standardise and (words := scale_complaint(data, prior)):
        warnings.warn(
            f"fit: `data` are far from `prior`: {words}. Say standardise=True, or scale them.",
            ScaleWarning,
            stacklevel=3,
        )
    if (held_out := points.get("validation")) is not None:
        _warn_if_shared(data, held_out)
    # An energy that was fitted to the data agrees with them as well as it can.
    fitted = isinstance(energy, SupportsFitting)
    if energy is not None:
        refuse_bad_gradient(energy, data[:_LOOKED_AT], "fit", kind="points of `data`")
    if energy is not None and not fitted and data.shape[0] >= FEWEST_FOR_VIRIAL:
        end_law = getattr(path, "end_law", None)
        agrees = warn_if_inconsistent(energy, data, chains).z <= 4
        if agrees and isinstance(end_law, Laplace) and data.shape[0] >= _PLENTY:
            warnings.warn(
                f"the data are {data.shape[0]:,} thermal samples of the energy, and the Laplace end law "
                "counts the thermal noise twice: the flow will be too wide. Use Relaxed instead of "
                "Langevin, or a larger `beta`.",
                stacklevel=3,
            )


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


def checked_sample(ready: Ready, source: Source) -> Array:
    """Points of a source for `check_data`, at even distances.

    **Raises:** `ValueError` if the run needs all points at once.
    """
    if isinstance(ready.coupling, SupportsPreparation):
        raise ValueError(
            f"fit: `coupling` ({type(ready.coupling).__name__}) looks at all data points at once, and "
            f"`data` is a source of {len(source):,} that are read as they are needed. Use "
            "'minibatch-ot', or pass the data as an array."
        )
    if ready.training.finish is not None:
        raise ValueError(
            f"fit: `finish` draws from all data points, and `data` is a source of {len(source):,} that "
            "are read as they are needed. Pass them as an array, or call hiflow.finish on some of them."
        )
    if ready.training.standardise:
        raise ValueError(
            f"fit: standardise={ready.training.standardise!r} needs `data` as an array, and they are a "
            f"source of {len(source):,} points. Scale them where they are made, and make the flow's "
            "samples theirs with `hiflow.Standardised`."
        )
    return jnp.asarray(source.sample())


def _warn_if_shared(data: Array, held_out: Array) -> None:
    shared = shared_points(data, held_out)
    if shared:
        warnings.warn(
            f"fit: {shared:,} of {held_out.shape[0]:,} points of `validation` are points of `data` too: "
            "their likelihood is that of what was learned by heart. Hold them out.",
            SuspiciousDataWarning,
            stacklevel=4,
        )


class ScaleWarning(UserWarning):
    """Data far from the prior, in place or width: training would be wasted on getting there.

    **Example:**

    ```pycon
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     far = hf.fit("mlp", "optimal-transport", 50 + points, prior="normal", key=key,
    ...                  steps=1, progress=False)
    ...
    >>> caught[0].category.__name__  # take standardise=True
    'ScaleWarning'
    ```
    """


def warn_of_complaint(network: AbstractVelocityField, data: Array) -> None:
    """Say what the network says of the points that it is to be trained on, in their coordinates."""
    if isinstance(network, SupportsComplaint) and (words := network.complaint(data[:1000])):
        warnings.warn(f"fit: {words}", stacklevel=3)


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


def check_points(points: Array, prior: AbstractPrior, *, argument: str) -> None:
    """Raise `ValueError` unless the points are finite events in the prior's subspace."""
    event = tuple(prior.event_shape)
    if points.ndim != len(event) + 1 or points.shape[1:] != event or points.shape[0] == 0:
        raise ValueError(
            f"fit: `{argument}` must have shape (n, {', '.join(map(str, event))}) with n ≥ 1, like "
            f"`prior`'s events; got {points.shape}."
        )
    if not jnp.issubdtype(points.dtype, jnp.floating):
        raise ValueError(f"fit: `{argument}` must be of a float type, got {points.dtype}.")
    refuse_not_finite(points, f"fit: `{argument}`", kind="samples", cure="Remove them.")
    off = jnp.abs(points - jax.vmap(prior.group.project)(points)).max()
    if off > 1e-3 * (1 + jnp.abs(points).max()):
        raise ValueError(
            f"fit: `{argument}` leaves the subspace of {type(prior).__name__} by up to {off:.3g}: the "
            "prior has its mean over particles removed and the data have not. Centre them first: "
            "jax.vmap(prior.group.project)(data)."
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
