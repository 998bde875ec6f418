"""One function for a component of any family, and the surroundings that it is checked in."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike, PRNGKeyArray

from hiflow import (
    couplings,
    divergences,
    energies,
    groups,
    hessians,
    networks,
    paths,
    priors,
    spectral,
    targets,
    time_samplers,
    times,
)
from hiflow.registry import Named, Registry, RegistryError
from hiflow.testing._coupling import check_coupling
from hiflow.testing._divergence import check_divergence
from hiflow.testing._energy import check_energy
from hiflow.testing._field import check_velocity_field
from hiflow.testing._group import check_group
from hiflow.testing._hessian import check_hessian
from hiflow.testing._path import check_path
from hiflow.testing._prior import check_prior
from hiflow.testing._report import Findings
from hiflow.testing._spectral_map import check_spectral_map
from hiflow.testing._target import check_target
from hiflow.testing._time_sampler import check_time_sampler
from hiflow.testing._time_transform import check_time_transform

T = TypeVar("T")
_SHAPES = [(4, 3), (4, 2), (2,), (4, 4), (3,), (6,), (2, 2)]
_ENERGIES = ["ring", "double-well", {"name": "lennard-jones", "particles": 4}]


def check(
    component: object,
    *,
    energy: Named[energies.AbstractEnergy] | None = None,
    prior: Named[priors.AbstractPrior] | None = None,
    event_shape: Iterable[int] | None = None,
    key: PRNGKeyArray | None = None,
    **options: Any,
) -> Findings:
    """Check a component of any family with its family's function.

    What a family's function needs besides is made up where it isn't given: a Hessian provider gets
    the first built-in energy that it accepts, a group the first event shape that it acts on, a path
    or a coupling a normal prior of its energy's or group's symmetry. An end law is checked as a part
    of a path.

    **Arguments:**

    - `component`: an instance.
    - `energy`, `prior`: instances, names or tables; `event_shape`: for a group.
    - `options`: passed on to the family's function, as `exact=False` to `check_hessian`.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws;
    `TypeError` for what is no component; `ValueError` if no surroundings fit and none are given.

    **Example:**

    ```pycon
    >>> found = hf.testing.check(hf.energies.DoubleWell(), key=key)  # of any family
    >>> found.laws[0].meaning
    'value, gradient and Hessian are finite'
    >>> hf.testing.check(hf.times.LogTime()).check
    'check_time_transform'
    ```
    """
    energy = None if energy is None else energies.registry.make(energy)
    prior = None if prior is None else priors.registry.make(prior)
    keyed = {"key": key, **options}
    match component:
        case energies.AbstractEnergy():
            return check_energy(component, **keyed)
        case hessians.AbstractHessian():
            return check_hessian(component, energy or _energy_for(component), **keyed)
        case spectral.AbstractSpectralMap():
            return check_spectral_map(component, **options)
        case times.AbstractTimeTransform():
            return check_time_transform(component, **options)
        case groups.AbstractGroup():
            shape = _shape_for(component) if event_shape is None else tuple(event_shape)
            return check_group(component, shape, **keyed)
        case priors.AbstractPrior():
            return check_prior(component, **keyed)
        case couplings.AbstractCoupling():
            group = getattr(component, "group", None)
            return check_coupling(component, prior=prior or _prior_of(group), **keyed)
        case paths.AbstractPath():
            return check_path(component, prior=prior or _prior_for(component), **keyed)
        case paths.AbstractEndLaw():
            path = paths.Spectral(energy=energy or _ENERGIES[0], end_law=component)
            return check_path(path, prior=prior or _prior_for(path), **keyed)
        case networks.AbstractVelocityField():
            return check_velocity_field(component, **keyed)
        case time_samplers.AbstractTimeSampler():
            return check_time_sampler(component, **keyed)
        case targets.AbstractTarget():
            return check_target(component, energy=energy, prior=prior, **keyed)
        case divergences.AbstractDivergence():
            return check_divergence(component, **keyed)
    raise TypeError(f"check: {component!r} is a component of none of hiflow's families.")


def example(registry: Registry[T], name: str, **options: object) -> T:
    """An instance of a registered component to check: made from `options`, or by its class's
    `example()` if there are none and it has one, with small sizes for what it takes besides.

    **Raises:** `RegistryError` for unknown names and options, and if arguments are missing.

    **Example:**

    ```pycon
    >>> made = hf.testing.example(hf.energies.registry, "lennard-jones")  # of small size
    >>> made.event_shape
    (4, 3)
    ```
    """
    cls = registry.get(name)
    made_by_class = getattr(cls, "example", None)
    if not options and made_by_class is not None:
        return made_by_class()
    context = {"particles": 4, "dim": 3, "shape": (2,), "energy": "ring", "key": jax.random.key(0)}
    if registry.family == "couplings":
        context["group"] = energies.registry.make(_ENERGIES[-1]).group
    try:
        return registry.make({"name": name, **options}, **context)
    except RegistryError as error:
        error.add_note("A classmethod `example()` that returns a small instance would be checked.")
        raise


def _energy_for(hessian: hessians.AbstractHessian) -> energies.AbstractEnergy:
    for table in (*_ENERGIES, energies.FittedGaussian.example()):
        energy = energies.registry.make(table)
        point = jax.ShapeDtypeStruct(energy.event_shape, jnp.result_type(float))
        if _accepts(lambda x, e=energy: hessian.spectrum(e, x), point):
            return energy
    raise ValueError(
        f"check: {type(hessian).__name__} accepts none of the energies that are tried; pass `energy`."
    )


def _shape_for(group: groups.AbstractGroup) -> tuple[int, ...]:
    key = jax.random.key(0)
    for shape in _SHAPES:
        if _accepts(lambda x, s=shape: group.act(group.sample(key, s), x), jnp.zeros(shape)):
            return shape
    raise ValueError(
        f"check: {type(group).__name__} acts on none of the shapes {_SHAPES}; pass `event_shape`."
    )


def _accepts(function: Callable[..., object], *inputs: object) -> bool:
    try:
        jax.eval_shape(function, *inputs)
    except (ValueError, TypeError, IndexError):
        return False
    return True


def _prior_of(group: groups.AbstractGroup | None) -> priors.AbstractPrior | None:
    """A normal prior of the group's symmetry; `None` lets the check choose."""
    return None if group is None else _normal(_shape_for(group), group, 1.0)


def _prior_for(path: paths.AbstractPath) -> priors.AbstractPrior:
    scale = getattr(path, "prior_scale", 1.0)
    energy: Any = getattr(path, "energy", None)
    if energy is not None:
        return _normal(energy.event_shape, energy.group, scale)
    group = getattr(path, "group", groups.Trivial())
    return _normal(_shape_for(group), group, scale)


def _normal(
    shape: tuple[int, ...], group: groups.AbstractGroup, scale: ArrayLike
) -> priors.AbstractPrior:
    if group.null_modes(jnp.zeros(shape)).shape[1]:
        table = {"name": "centred-normal", "particles": shape[0], "dim": shape[1]}
        return priors.registry.make({**table, "scale": scale})
    return priors.registry.make({"name": "normal", "shape": shape, "scale": scale, "group": group})
