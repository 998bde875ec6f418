"""An experiment's arms and seeds trained by `fit`, into a run folder."""

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
from jaxtyping import Array
from rich.console import Console

from hiflow import _processes, data, energies
from hiflow._disk import is_whole, trusting
from hiflow.experiments._arm import Arm, make_arm
from hiflow.experiments._check import checked
from hiflow.experiments._compare import compare
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._data import make_samples, pixel_transform
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
    Several processes (`jax.distributed`) train every arm together, in a folder that all of them see; the
    first one alone writes to it and to the console.

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
    console.quiet |= not _processes.leads()
    progress = console.is_terminal and not console.quiet
    seeds = experiment.seeds if seeds is None else list(seeds)
    energy, shape = checked(experiment)  # Refuses whatever is wrong, before data are drawn.
    folder = RunFolder(root)
    pixels = pixel_transform(experiment)
    _processes.by_leader(lambda: folder.claim(experiment, seeds, resume=resume))
    for seed in seeds:
        train_set, test_set = make_samples(experiment, energy, seed, progress=progress)
        points, test = train_set.points, test_set.points
        _check_sizes(experiment, points.shape[0])
        _processes.by_leader(partial(folder.describe_data, seed, points, test))
        fitted = FittedEnergies(
            shape, points, test, seed=seed, folder=folder.energies(seed), console=console
        )
        for table in experiment.arms:
            key_network, key_fit = jax.random.split(jax.random.key(seed))
            # An energy that is fitted is left in the folder for the other processes.
            arm = _processes.leader_first(
                partial(make_arm, experiment, table, energy, shape, key_network, fitted)
            )
            place = folder.arm(seed, arm.label)
            seen = train_set[: arm.size]
            console.print(f"[bold]{arm.label}[/], seed {seed}: {type(arm.path).__name__}")
            record = Record(place, test_set, pixels, console)
            _train_arm(arm, record, seen, energy, key_fit, progress)
    return _processes.leader_first(partial(compare, [folder.root], console=console))


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
    points: data.Samples,
    energy: energies.AbstractEnergy | None,
    key: Array,
    progress: bool,
) -> None:
    weights, checkpoints = record.place / "flow.hiflow", record.place / "checkpoints"
    # What the first process sees on disk counts: another may see it a moment later.
    done, begun = json.loads(
        _processes.exchange(json.dumps([is_whole(weights), checkpoints.exists()]))[0]
    )
    if not done:
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
            callbacks=[record] if _processes.leads() else [],
            checkpoint_dir=checkpoints,
            resume=begun,
            progress=progress,
        )
        _processes.by_leader(lambda: flow.save(weights))
    _processes.by_leader(lambda: _score_if_missing(arm, record, weights))


def _score_if_missing(arm: Arm, record: Record, weights: Path) -> None:
    if not record.ends(arm.training.steps):
        _score_anew(arm, record, weights)


def _score_anew(arm: Arm, record: Record, weights: Path) -> None:
    """The last row of a history that was lost or damaged after training."""
    flow = load(weights, trust=_packages_of(arm.network, arm.prior))
    seconds = record.rows[-1].get("seconds", math.nan) if record.rows else math.nan
    row = {"step": arm.training.steps, "seconds": seconds, "loss": math.nan}
    record(
        row
        | dataclasses.asdict(
            negative_log_likelihood(flow, record.test.points, chains=record.test.chains)
        )
    )


def _packages_of(*components: object) -> tuple[str, ...]:
    """The packages whose components these are: running them is what the run is for."""
    return tuple(type(each).__module__.partition(".")[0] for each in components)
