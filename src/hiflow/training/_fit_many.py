"""`fit_many`: several flows trained at once."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jaxtyping import Array, PRNGKeyArray, PyTree

from hiflow import _border, energies, networks, paths, priors
from hiflow._border import border
from hiflow._devices import spread_over
from hiflow._interrupts import interrupts
from hiflow.energies import AbstractEnergy
from hiflow.flow import Flow
from hiflow.networks import AbstractVelocityField
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.registry import Named
from hiflow.solver import Solver, as_solver
from hiflow.training._begin import begin
from hiflow.training._checkpoints import Checkpoints
from hiflow.training._components import Components
from hiflow.training._conditions import taught, with_points
from hiflow.training._history import History
from hiflow.training._run import Run
from hiflow.training._settings import Training, as_training
from hiflow.training._together import train_together


def fit_many(
    network: Named[AbstractVelocityField],
    path: Named[AbstractPath],
    data: Any,
    *,
    prior: Named[AbstractPrior],
    keys: PRNGKeyArray,
    energy: Named[AbstractEnergy] | None = None,
    validation: Any = None,
    condition: PyTree = None,
    validation_condition: PyTree = None,
    training: Training | Mapping[str, object] | None = None,
    solver_settings: Solver | Mapping[str, object] | None = None,
    histories: Sequence[History] | None = None,
    progress: bool = True,
    **settings: Any,
) -> list[Flow]:
    """Train several flows at once, under one compiled step."""
    keys = list(keys)
    k = len(keys)
    said = as_training(training).changed(**settings)
    histories = [History() for _ in range(k)] if histories is None else histories
    solver = as_solver(solver_settings)

    def run_of(i: int, data: Any, validation: Any) -> Run:
        return begin(
            network,
            path,
            data,
            prior=prior,
            key=keys[i],
            energy=energy,
            validation=validation,
            condition=condition,
            validation_condition=validation_condition,
            training=said,
            solver=solver,
            callbacks=(),
            history=histories[i],
            progress=progress,
            mesh=None,
            kept=False,
        ).run

    first = run_of(0, data, validation)
    _, asked = with_points(data, condition)
    runs = [first]
    for i in range(1, k):
        ready = first.ready
        making = Components(tuple(ready.prior.event_shape), keys[i], asked)
        made = making.network(network, ready.prior, ready.energy)
        ready = taught(ready._replace(network=made), first.given.data)
        runs.append(dataclasses.replace(first, ready=ready, key=keys[i], history=histories[i]))
    with (
        interrupts() as ending,
        Checkpoints(None, {}, said.steps, False) as checkpoints,
        spread_over(None),
    ):
        return train_together(runs, checkpoints, ending)
