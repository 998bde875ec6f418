"""A run's flows on a user's own test points."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from hiflow import data
from hiflow._disk import fingerprint, trusting
from hiflow.energies import AbstractEnergy
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._doubled import doubled
from hiflow.experiments._files import hold_against_training
from hiflow.experiments._fitted import make_energy
from hiflow.experiments._image_data import pixel_transform
from hiflow.experiments._member import Member, parts_of, told_of
from hiflow.experiments._record import bits_per_dim
from hiflow.experiments._run_folder import RunFolder, flow_files
from hiflow.experiments._tell import Where, numbered, tell, where_conditions_stand
from hiflow.experiments._toml import Experiment
from hiflow.flow import load
from hiflow.metrics import NLL, held_out_score
from hiflow.networks import conditions_of
from hiflow.priors import AbstractPrior


def evaluate_file(
    run: str | os.PathLike[str],
    file: str | os.PathLike[str],
    settings: Mapping[str, Any],
    array: str | None = None,
    *,
    condition: str | Sequence[str] | None = None,
    condition_file: str | os.PathLike[str] | None = None,
    topology: str | os.PathLike[str] | None = None,
    independent: bool | None = None,
    trust: Sequence[str] = (),
) -> Comparison:
    """A run's flows, or one flow's file, compared on the points in a file: by their NLL, or by the
    distance of samples from the points where the prior has no density.

    Pixels are brought to the flow's numbers as training images are. Errors are over the chains that
    [`Samples.save`][hiflow.data.Samples.save] wrote beside the points.

    Points of an energy with a symmetry are first projected as training data are, and checked against
    the energy: a wrong convention is warned of. Frames of other atoms than the run's own `file`, or in
    another unit of length, are refused.

    **Arguments:**

    - `array`: which array of an `.npz` file, where it holds several.
    - `condition`, `condition_file`: where the conditions of the points stand, as for
      [`load`][hiflow.data.load]; by default where those of the run's own files do. Classes go by their
      names in the run, or by their numbers for one flow's file.
    - `topology`, `independent`: of a trajectory, as for [`load`][hiflow.data.load]; by default those of
      the run's own files.
    - `settings`: the solver's, as every method of [`Flow`][hiflow.Flow] takes them.
    - `trust`: packages of your own that the run's files may name.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> np.save("points.npy", points)
    >>> found = experiments.evaluate_file("run", "points.npy", {"method": "Heun", "steps": 4})
    >>> [row["label"] for row in found.rows()]
    ['OT-FM', 'isotropic end law', 'HI-FM (Langevin)']
    ```
    """
    with trusting(*trust):
        given = {"topology": topology, "independent": independent}
        return _evaluated(run, file, settings, array, (condition, condition_file), given)


def _evaluated(
    run: str | os.PathLike[str],
    file: str | os.PathLike[str],
    settings: Mapping[str, Any],
    array: str | None,
    where: Where,
    given: Mapping[str, Any],
) -> Comparison:
    alone = Experiment(Path(run).stem, "", {"arm": []})
    experiment = RunFolder(run).experiment() if Path(run).is_dir() else alone
    energy, pixels = make_energy(experiment), pixel_transform(experiment)
    said = {name: value for name, value in given.items() if value is not None}
    table = {**experiment.tables.get("data", {}), **said}
    hold_against_training(file, table, energy)
    flows = {key: (path.parent, load(path)) for key, path in flow_files(run).items()}
    prior = next(iter(flows.values()))[1].prior
    told = any(conditions_of(flow.network) is not None for _, flow in flows.values())
    where = where_conditions_stand(where, table, told)
    samples = _own_points(file, prior, pixels, array, energy, table, where)
    points, chains = samples.points, samples.chains
    data.warn_if_suspicious(points, chains, subject=str(file))
    test = fingerprint(points=points).digest
    known = {seed: numbered(samples, run, seed, str(file)) for _, seed in flows}
    members = []
    for (label, seed), (place, flow) in flows.items():
        condition = known[seed].condition if conditions_of(flow.network) is not None else None
        found = held_out_score(flow, points, chains=chains, condition=condition, **settings)
        scores = dataclasses.asdict(found)
        if pixels is not None and isinstance(found, NLL):
            scores |= bits_per_dim(pixels, scores["log_prob"], samples)
        if chains is not None:
            scores["chains"] = chains.tolist()
        parts = parts_of(experiment, label)
        member = Member(label, *parts, seed, place, [scores], test, experiment)
        members.append(member)
        if member.has_density:
            solved = flow.with_settings(**settings)
            member.doubled = doubled(solved, points, condition, scores["log_prob"])
        tell(member, flow.with_settings(**settings), known[seed], told_of(run, seed))
    if energy is not None:
        data.warn_if_inconsistent(energy, points, chains)
    return Comparison(members, energy)


def _own_points(
    file: str | os.PathLike[str],
    prior: AbstractPrior,
    pixels: data.PixelTransform | None,
    array: str | None,
    energy: AbstractEnergy | None,
    table: Mapping[str, Any],
    where: Where,
) -> data.Samples:
    """The file's points as the flow's events, with their chains."""
    samples = data.load(
        file, event_shape=prior.event_shape, key_name=array, energy=energy,
        topology=table.get("topology") if data.needs_topology(file) else None,
        independent=table.get("independent", False),
        condition=where[0], condition_file=where[1],
    )  # fmt: skip
    if pixels is not None:
        points = pixels.from_file(samples.points, key=jax.random.key(0))
    else:
        points = jax.vmap(prior.group.project)(samples.points)
    return samples.moved(points)
