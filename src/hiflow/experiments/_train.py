"""An experiment's arms and seeds trained by `fit`, into a run folder."""

import dataclasses
import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array
from rich.console import Console
from rich.text import Text

from hiflow import _processes, data, energies
from hiflow._disk import is_whole, locked, trusting
from hiflow._interrupts import interrupts
from hiflow.experiments._arm import Arm, make_arm
from hiflow.experiments._auto import with_choice
from hiflow.experiments._check import checked
from hiflow.experiments._compare import MADE_OF_FLOWS, compare
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._condition import Condition
from hiflow.experiments._data import make_samples, test_origins, validation_samples
from hiflow.experiments._failures import (
    Failure,
    failure_in,
    forget,
    is_settled,
    settings_of,
    summary,
)
from hiflow.experiments._fitted import FittedEnergies
from hiflow.experiments._image_data import pixel_transform
from hiflow.experiments._record import Record, of_validation
from hiflow.experiments._run_folder import RunFolder, readable_rows
from hiflow.experiments._seen import check_classes, check_sizes
from hiflow.experiments._toml import Experiment
from hiflow.flow import Flow, load
from hiflow.metrics import held_out_score
from hiflow.training import History, fit
from hiflow.training._rehearsal import rehearse

# Of one arm alone: it diverged, its solver didn't arrive, or it takes more memory than there is.
_FAILURES = (FloatingPointError, RuntimeError, MemoryError)


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

    All arms are built and checked, and the first seed's data made, before the folder is claimed. An arm
    that fails is marked so and doesn't keep the others from being trained: it is among the comparison's
    `failures`, and trained again on resume once its settings have changed. The comparison is that of
    [`compare`][hiflow.experiments.compare] on the folder: seeds that it holds already are in it too.
    Several processes (`jax.distributed`) train every arm together, in a folder that all of them see; the
    first one alone writes to it and to the console.

    **Arguments:**

    - `trust`: packages of your own that the configuration may name as `"package.module:function"`.

    **Raises:** `ValueError` for what is wrong, if another process trains into the folder, or if every
    arm failed; `KeyboardInterrupt` and `SystemExit` as [`fit`][hiflow.fit] does.

    **Example:**

    ```pycon
    >>> from rich.console import Console
    >>> from hiflow import experiments
    >>> tiny = [("training.steps", 4), ("data.test", 20),  # ten seconds, to try
    ...         ("evaluation.method", "Heun"), ("evaluation.steps", 4)]
    >>> what = experiments.read("ring-quick", tiny)
    >>> found = experiments.train(what, "run", seeds=[0], console=Console(quiet=True))
    >>> [row["label"] for row in found.rows()]
    ['OT-FM', 'isotropic end law', 'HI-FM (Langevin)']
    ```
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
    folder = RunFolder(root)
    _processes.by_leader(partial(folder.refuse, experiment, resume=resume))
    energy, shape, arms = checked(experiment)  # Refuses whatever is wrong, before data are drawn.
    pixels = pixel_transform(experiment)
    _rehearse(experiment, arms)
    claimed, failures = False, []
    with ExitStack() as stack:
        if not _processes.several():  # Then JAX has its own way to notice SIGTERM, for all of them.
            stack.enter_context(interrupts())
        _processes.by_leader(lambda: stack.enter_context(locked(folder.root)))
        for seed in seeds:
            train_set, test_set = make_samples(experiment, energy, seed, progress=progress)
            points, test = train_set.points, test_set.points
            told = Condition.of(train_set)
            if train_set.origin is not None and seed == seeds[0]:
                console.print(train_set.origin, markup=False, highlight=False, soft_wrap=True)
            check_sizes(experiment, points.shape[0])
            if told is not None and not claimed:
                console.print(f"condition: {told.words}", markup=False, highlight=False)
                check_classes(experiment, energy, seeds, arms)
            if not claimed:
                _processes.by_leader(partial(folder.claim, experiment, seeds, resume=resume))
                claimed = True
            origins = test_origins(experiment, seed, test_set)
            _processes.by_leader(
                partial(
                    folder.describe_data, seed, train_set, test_set, origins,
                    dict.fromkeys([None, *(arm.size for arm in arms)]),
                )
            )  # fmt: skip
            held_out = None
            if any(arm.training.selects for arm in arms):
                held_out = validation_samples(experiment, energy, seed, progress=progress)
            fitted = FittedEnergies(
                shape, points, test, seed=seed, folder=folder.energies(seed), console=console
            )
            for table in experiment.arms:
                key_network, key_fit = jax.random.split(jax.random.key(seed))
                # An energy that is fitted is left in the folder for the other processes.
                arm = _processes.leader_first(
                    partial(make_arm, experiment, table, energy, shape, key_network, fitted, told)
                )
                place = folder.arm(seed, arm.label)
                name = "a path by choice" if arm.auto else type(arm.path).__name__
                console.print(Text(arm.label, "bold"), f", seed {seed}: {name}", sep="")
                record = Record(place, arm.seen(test_set), pixels, console)
                seen = arm.seen(train_set[: arm.size])
                chosen_by = None
                if arm.training.selects:
                    assert held_out is not None, "made if any arm asks for them"
                    chosen_by = arm.seen(held_out)
                settings = settings_of(experiment, table)
                train_arm = partial(
                    _train_arm, arm, record, seen, chosen_by, energy, key_fit, progress, settings
                )
                if failure := _failure_of(train_arm, arm.label, seed, settings, record):
                    failures.append(failure)
        if failures and not folder.has_flows():
            raise ValueError(summary(failures))
        return _processes.leader_first(partial(compare, [folder.root], console=console))


def _rehearse(experiment: Experiment, arms: list[Arm]) -> None:
    """Refuse whatever is wrong with how an arm is scored, before data are drawn."""
    scored = []
    for table, arm in zip(experiment.arms, arms, strict=True):
        settings = settings_of(experiment, table)
        alike = settings["prior"], settings["network"], settings["evaluation"], arm.condition
        if alike not in scored:
            scored.append(alike)
            test = experiment.tables.get("data", {}).get("test", 256)
            rows = None if arm.condition is None else arm.condition.example(test)
            rehearse(Flow(arm.prior, arm.network, arm.solver), test, rows)


def _failure_of(
    train_arm: Callable[[], None],
    label: str,
    seed: int,
    settings: dict[str, Any],
    record: Record,
) -> Failure | None:
    """Train an arm; what became of it if it failed, now or before with the same settings."""
    place, console = record.place, record.console
    before = failure_in(place)
    if before is not None and is_settled(before, settings):
        console.print(f"  failed before, with the same settings: {before.reason}", markup=False)
        return before
    if before is not None:
        forget(before, place, settings)
    try:
        train_arm()
    except _FAILURES as error:
        if _processes.several() and not isinstance(error, FloatingPointError):
            raise  # The other processes may know nothing of it.
        lines = str(error).strip().splitlines() or [""]
        reason = f"{type(error).__name__}: {lines[0][:400]}"
        failure = Failure(label, seed, reason, isinstance(error, FloatingPointError), settings)
        _processes.by_leader(partial(failure.keep, place))
        console.print(f"  failed: {reason}", style="red", markup=False)
        return failure
    return None


def _train_arm(
    arm: Arm,
    record: Record,
    points: data.Samples,
    chosen_by: data.Samples | None,
    energy: energies.AbstractEnergy | None,
    key: Array,
    progress: bool,
    settings: dict[str, Any],
) -> None:
    arm = with_choice(
        arm, record.place, points, settings, key=key, progress=progress, console=record.console
    )
    weights, checkpoints = record.place / "flow.hiflow", record.place / "checkpoints"
    _processes.by_leader(partial(_make_room, record.place, arm.training.steps))
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
            validation=record.test if chosen_by is None else chosen_by,
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


def _make_room(place: Path, steps: int) -> None:
    """Remove the flow of a run that is to be extended, and what was made of it: it isn't the arm's any
    more."""
    if _steps_trained(place) < steps:
        for pattern in ("flow.hiflow", *MADE_OF_FLOWS):
            for file in place.glob(pattern):
                file.unlink()


def _steps_trained(place: Path) -> float:
    """How far an arm has been trained, by its checkpoints or else its history; infinite if neither
    says, or if it was ended for good."""
    states = [int(path.name) for path in place.glob("checkpoints/steps/*") if path.name.isdigit()]
    rows, _ = readable_rows(place / "history.jsonl")
    if rows and rows[-1].get("ended") == "patience":
        return math.inf
    return max(states, default=rows[-1]["step"] if rows else math.inf)


def _score_anew(arm: Arm, record: Record, weights: Path) -> None:
    """The last row of a history: of weights that validation chose, or if it was lost or damaged."""
    flow = load(weights, trust=_packages_of(arm.network, arm.prior))
    own, _ = History.read(record.place / "checkpoints" / "history.jsonl")
    row = {"step": arm.training.steps, "seconds": math.nan, "loss": math.nan}
    for last in (*record.rows[-1:], *own.rows[-1:]):
        row |= of_validation(last) if arm.training.selects else last
    if arm.training.selects:
        row["taken"] = row.get("best_step") if arm.training.keep == "best" else row["step"]
    else:
        row["step"] = arm.training.steps
    test = record.test
    found = held_out_score(flow, test.points, chains=test.chains, condition=test.condition)
    record.score(row | dataclasses.asdict(found))


def _packages_of(*components: object) -> tuple[str, ...]:
    """The packages whose components these are: running them is what the run is for."""
    return tuple(type(each).__module__.partition(".")[0] for each in components)
