"""An experiment's arms and seeds trained by `fit`, into a run folder."""

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path

import jax
from jaxtyping import Array
from rich.console import Console

from hiflow import energies
from hiflow._disk import is_whole, trusting
from hiflow.experiments._arm import Arm, make_arm
from hiflow.experiments._check import checked
from hiflow.experiments._compare import compare
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._data import make_data, pixel_transform
from hiflow.experiments._fitted import FittedEnergies
from hiflow.experiments._record import Record
from hiflow.experiments._run_folder import RunFolder
from hiflow.experiments._toml import Experiment
from hiflow.flow import load
from hiflow.metrics import negative_log_likelihood
from hiflow.training import fit


def train(
    experiment: Experiment,
    root: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    resume: bool = False,
    console: Console | None = None,
    trust: Sequence[str] = (),
) -> Comparison:
    """Train every arm for every seed into a run folder, and compare its arms; finished arms are skipped
    on resume.

    All arms are built and checked before the first one is trained. The comparison is that of
    [`compare`][hiflow.experiments.compare] on the folder: seeds that it holds already are in it too.

    **Arguments:**

    - `trust`: packages of your own that the configuration may name as `"package.module:function"`.
    """
    with trusting(*trust):
        return _trained(experiment, root, seeds, resume, console or Console())


def _trained(
    experiment: Experiment,
    root: str | os.PathLike[str],
    seeds: Sequence[int] | None,
    resume: bool,
    console: Console,
) -> Comparison:
    seeds = experiment.seeds if seeds is None else list(seeds)
    energy, shape = checked(experiment)  # Refuses whatever is wrong, before data are drawn.
    folder = RunFolder(root)
    pixels = pixel_transform(experiment)
    folder.claim(experiment, seeds, resume=resume)
    for seed in seeds:
        points, test = make_data(experiment, energy, seed, progress=console.is_terminal)
        _check_sizes(experiment, points.shape[0])
        folder.describe_data(seed, points, test)
        fitted = FittedEnergies(
            shape, points, test, seed=seed, folder=folder.energies(seed), console=console
        )
        for table in experiment.arms:
            key_network, key_fit = jax.random.split(jax.random.key(seed))
            arm = make_arm(experiment, table, energy, shape, key_network, fitted)
            place = folder.arm(seed, arm.label)
            seen = points[: arm.size]
            console.print(f"[bold]{arm.label}[/], seed {seed}: {type(arm.path).__name__}")
            record = Record(place, test, pixels, console)
            _train_arm(arm, record, seen, energy, key_fit)
    return compare([folder.root], console=console)


def _check_sizes(experiment: Experiment, available: int) -> None:
    for arm in experiment.arms:
        if not 1 <= arm.get("size", available) <= available:
            raise ValueError(
                f"variant {arm['variant']!r}: `size` must be between 1 and the {available:,} training "
                f"points of [data], got {arm['size']}."
            )


def _train_arm(
    arm: Arm,
    record: Record,
    points: Array,
    energy: energies.AbstractEnergy | None,
    key: Array,
) -> None:
    weights = record.place / "flow.hiflow"
    if not is_whole(weights):
        checkpoints = record.place / "checkpoints"
        flow = fit(
            arm.network,
            arm.path,
            points,
            prior=arm.prior,
            energy=energy,
            key=key,
            validation=record.test,
            training=arm.training,
            solver_settings=arm.solver,
            callbacks=[record],
            checkpoint_dir=checkpoints,
            resume=checkpoints.exists(),
            progress=record.console.is_terminal,
        )
        flow.save(weights)
    if not record.ends(arm.training.steps):
        _score_anew(arm, record, weights)


def _score_anew(arm: Arm, record: Record, weights: Path) -> None:
    """The last row of a history that was lost or damaged after training."""
    flow = load(weights, trust=_packages_of(arm.network, arm.prior))
    seconds = record.rows[-1].get("seconds", math.nan) if record.rows else math.nan
    row = {"step": arm.training.steps, "seconds": seconds, "loss": math.nan}
    record(row | dataclasses.asdict(negative_log_likelihood(flow, record.test)))


def _packages_of(*components: object) -> tuple[str, ...]:
    """The packages whose components these are: running them is what the run is for."""
    return tuple(type(each).__module__.partition(".")[0] for each in components)
