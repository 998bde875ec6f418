"""What `fit` was given, made, checked and put together into a run: all before any work is spent."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray, PyTree

from hiflow import _processes
from hiflow.data import Source, as_source
from hiflow.energies import AbstractEnergy
from hiflow.flow import Flow
from hiflow.networks import AbstractVelocityField
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.registry import Named
from hiflow.solver import Solver
from hiflow.training._conditions import (
    check_same_classes,
    checked_conditions,
    refuse_gaps,
    taught,
    with_points,
)
from hiflow.training._data_checks import check_data, checked_sample, warn_of_complaint
from hiflow.training._finish import refuse_bad_forces, refuse_without_forces
from hiflow.training._history import History
from hiflow.training._moments import AnyCallback
from hiflow.training._preflight import (
    check_mesh,
    check_selection,
    in_units,
    make_components,
    make_ready,
    warn_of_own_noise,
)
from hiflow.training._rehearsal import rehearse
from hiflow.training._run import Run
from hiflow.training._settings import Training
from hiflow.training._targets import check_target_data


class Begun(NamedTuple):
    """A run that is ready for its first step, and what of it is in the data's units."""

    run: Run
    points: Array | Source
    energy: AbstractEnergy | None


def begin(
    network: Named[AbstractVelocityField],
    path: Named[AbstractPath],
    data: object,
    *,
    prior: Named[AbstractPrior],
    key: PRNGKeyArray,
    energy: Named[AbstractEnergy] | None,
    validation: object,
    condition: PyTree,
    validation_condition: PyTree,
    training: Training,
    solver: Solver,
    callbacks: Sequence[AnyCallback],
    history: History,
    progress: bool,
    mesh: Mesh | None,
    kept: bool,
) -> Begun:
    """Arguments as [`fit`][hiflow.fit] takes them; `kept` is whether the run is to be on disk.

    **Raises:** as `fit` does, before any work is spent.
    """
    if condition is None and validation_condition is None:
        check_same_classes(data, validation)
    condition, asked = with_points(data, condition)
    refuse_gaps(network, asked, condition)
    validation_condition, _ = with_points(validation, validation_condition)
    source = as_source(data)
    points = jnp.asarray(data) if source is None else source
    held_out = None if validation is None else jnp.asarray(validation)
    parts = make_components(network, path, prior, energy, points.shape[1:], key, asked)
    ready = make_ready(*parts, training)
    check_selection(ready.training, held_out is not None)
    finish = ready.training.finish
    estimator = finish.get("estimator") if isinstance(finish, Mapping) else None
    refuse_without_forces(estimator, ready.energy)
    validated = None if held_out is None else held_out.shape[0]
    given = checked_conditions(ready, condition, validation_condition, points.shape[0], validated)
    ready = taught(ready, given.data)
    read = checked_sample(ready, points) if isinstance(points, Source) else points
    check_target_data(ready.target, ready.parts, points, read, getattr(data, "chains", None))
    named = {"data": read, "validation": held_out}
    check_data(ready, named, getattr(data, "chains", None))
    if estimator == "path" and ready.energy is not None:
        refuse_bad_forces(ready.energy, read)
    labels = getattr(validation, "chains", None)
    warn_of_own_noise(ready.path, ready.noise)
    own = ready.energy
    ready, units = in_units(ready, read)
    unscaled = points
    if units is not None:
        points = read = jax.vmap(units)(read)
    warn_of_complaint(ready.network, read)
    together = check_mesh(mesh, kept)
    run = Run(
        ready,
        units,
        points,
        held_out,
        labels,
        given,
        key,
        solver,
        callbacks,
        history,
        progress and _processes.leads(),
        mesh,
        together,
    )
    if held_out is not None:
        rehearse(Flow(ready.prior, ready.network, run.solver), held_out.shape[0], given.held_out)
    return Begun(run, unscaled, own)
