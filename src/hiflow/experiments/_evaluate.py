"""A run's flows on a user's own test points."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from hiflow import data, energies
from hiflow.experiments._fitted import make_energy
from hiflow.experiments._run_folder import RunFolder, flow_files
from hiflow.experiments._summary import FIGURES, Result
from hiflow.flow import load
from hiflow.metrics import negative_log_likelihood


def evaluate_file(
    run: str | os.PathLike[str], file: str | os.PathLike[str], settings: Mapping[str, Any]
) -> tuple[list[Result], energies.AbstractEnergy | None]:
    """The NLL of a run's flows on the points in a file, and the run's energy.

    Points of an energy with a symmetry are first projected as training data are, and checked against
    the energy: a wrong convention is warned of.
    """
    energy = None
    if Path(run).is_dir():
        energy = make_energy(RunFolder(run).experiment())
    flows = {key: load(path) for key, path in flow_files(run).items()}
    prior = next(iter(flows.values())).prior
    points = jnp.asarray(data.load(file, event_shape=prior.event_shape))
    points = jax.vmap(prior.group.project)(points)
    results = []
    for (label, seed), flow in flows.items():
        figures = negative_log_likelihood(flow, points, **settings)
        results.append(Result(label, seed, 0, 0.0, *(getattr(figures, k) for k in FIGURES)))
    if energy is not None:
        data.warn_if_inconsistent(energy, points)
    return results, energy
