"""A run's flows on a user's own test points."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from hiflow import data
from hiflow._disk import fingerprint, trusting
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._data import pixel_transform
from hiflow.experiments._fitted import make_energy
from hiflow.experiments._member import Member, parts_of
from hiflow.experiments._record import bits_per_dim
from hiflow.experiments._run_folder import RunFolder, flow_files
from hiflow.experiments._toml import Experiment
from hiflow.flow import load
from hiflow.metrics import negative_log_likelihood


def evaluate_file(
    run: str | os.PathLike[str],
    file: str | os.PathLike[str],
    settings: Mapping[str, Any],
    *,
    trust: Sequence[str] = (),
) -> Comparison:
    """A run's flows, or one flow's file, compared on the points in a file.

    Points of an energy with a symmetry are first projected as training data are, and checked against
    the energy: a wrong convention is warned of.

    **Arguments:**

    - `settings`: the solver's, as every method of [`Flow`][hiflow.Flow] takes them.
    - `trust`: packages of your own that the run's files may name.
    """
    with trusting(*trust):
        return _evaluated(run, file, settings)


def _evaluated(
    run: str | os.PathLike[str], file: str | os.PathLike[str], settings: Mapping[str, Any]
) -> Comparison:
    alone = Experiment(Path(run).stem, "", {"arm": []})
    experiment = RunFolder(run).experiment() if Path(run).is_dir() else alone
    energy, pixels = make_energy(experiment), pixel_transform(experiment)
    flows = {key: (path.parent, load(path)) for key, path in flow_files(run).items()}
    prior = next(iter(flows.values()))[1].prior
    points = jnp.asarray(data.load(file, event_shape=prior.event_shape))
    points = jax.vmap(prior.group.project)(points)
    test = fingerprint(points=points).digest
    members = []
    for (label, seed), (place, flow) in flows.items():
        scores = dataclasses.asdict(negative_log_likelihood(flow, points, **settings))
        if pixels is not None:
            scores |= bits_per_dim(pixels, scores["log_prob"], points)
        parts = parts_of(experiment, label)
        members.append(Member(label, *parts, seed, place, [scores], test, experiment))
    if energy is not None:
        data.warn_if_inconsistent(energy, points)
    return Comparison(members, energy)
