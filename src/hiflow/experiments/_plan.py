"""What training an experiment would take: sizes, memory, and the time by a few steps."""

import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from hiflow import _carry
from hiflow._programs import bytes_of, measured
from hiflow.experiments._arm import Arm
from hiflow.experiments._check import checked
from hiflow.experiments._run_folder import Row
from hiflow.experiments._tables import Column, console_table
from hiflow.experiments._toml import Experiment
from hiflow.flow import Flow
from hiflow.paths import anchor_bytes
from hiflow.priors import has_density
from hiflow.training import History, fit
from hiflow.training._step import advance

_COLUMNS = (
    Column("arm", "label", "{}"),
    Column("weights", "parameters", "{:,}"),
    Column("steps", "steps", "{:,}"),
    Column("batch", "batch_size", "{:,}"),
    Column("anchors MB", "anchors", "{:,.1f}"),
    Column("step MB", "memory", "{:,.1f}"),
    Column("scoring MB", "scoring", "{:,.1f}"),
    Column("ms a step", "step", "{:,.2f}"),
    Column("seconds", "seconds", "{:,.0f}"),
)
# Enough to see a step's time in, and few enough to be had at once.
_POINTS, _STEPS, _APART = 256, 9, 3
# Of test points, where it isn't said.
_TEST = 256


def plan(experiment: Experiment, seeds: Sequence[int] | None = None) -> list[Row]:
    """One row per arm: `label`, `parameters`, `steps`, `batch_size`, `anchors` (megabytes), `memory`
    and `scoring` (megabytes of each device), `step` (milliseconds) and `seconds` of the training of all
    `seeds`; and `unknown`, why there is no time, if there is none.

    `memory` is what the compiled steps need beside the anchors: weights, their average, the optimiser's
    memory, the draws of 50 steps, and what lies between. `scoring` is what the likelihoods of the test
    points need, or without a density samples: weights, points, and what lies between for those that are
    solved side by side. Both are `None` where JAX's backend doesn't say.

    Times are of a few steps on points of the prior in place of data: neither drawing data, nor anchors,
    compilation and scores are in them. Nothing is written.

    **Raises:** `ConfigError` for what training would refuse before data are drawn.
    """
    _, _, arms = checked(experiment)
    number = len(experiment.seeds if seeds is None else seeds)
    table = experiment.tables.get("data", {})
    drawn = None if "file" in table or "images" in table else 10_000
    size = table.get("size", drawn)
    test = table.get("test", _TEST)
    return [_row(arm, arm.size or size, number, test) for arm in arms]


def show_plan(
    experiment: Experiment, *, seeds: Sequence[int] | None = None, console: Console | None = None
) -> None:
    """Print the plan of an experiment."""
    console = console or Console()
    rows = plan(experiment, seeds)
    number = len(experiment.seeds if seeds is None else seeds)
    console.print(console_table(_COLUMNS, rows))
    for row in rows:
        if row["unknown"] is not None:
            console.print(f"{row['label']}: no time ({row['unknown']})", markup=False)
        elif row["memory"] is None:
            console.print(
                f"{row['label']}: the memory of a step is not available here", markup=False
            )
    known = [row["seconds"] for row in rows if row["seconds"] is not None]
    console.print(
        f"{len(rows)} arms × {number} seeds, {sum(known):,.0f} seconds of training by a few steps on "
        "points of the prior; without data, anchors, compilation and scores. Nothing was written.",
        soft_wrap=True,
    )


def _row(arm: Arm, size: int | None, seeds: int, test: int) -> Row:
    leaves = jax.tree.leaves(eqx.filter(arm.network, eqx.is_inexact_array))
    number = min(_POINTS, size or _POINTS)
    keys = jax.random.split(jax.random.key(0), number)
    points = jax.vmap(arm.prior.group.project)(jax.vmap(arm.prior.sample)(keys))
    row: Row = {
        "label": arm.label,
        "parameters": sum(leaf.size for leaf in leaves),
        "steps": arm.training.steps,
        "batch_size": arm.training.batch_size,
        "anchors": None,
        "memory": None,
        "scoring": None,
        "step": None,
        "seconds": None,
        "unknown": None,
    }
    try:
        anchors = anchor_bytes(arm.path, points, arm.training.anchor_dtype)
        row["anchors"] = None if size is None else anchors / number * size / 1e6
        with measured() as needs:
            seconds = _seconds_a_step(arm, points)
        taken = needs.get(advance.__name__)
        row["memory"] = None if taken is None else (taken - anchors) / 1e6
        row |= {"step": 1e3 * seconds, "seconds": seconds * arm.training.steps * seeds}
        scoring = _scoring_bytes(arm, points, test)
        row["scoring"] = None if scoring is None else scoring / 1e6
    except (ValueError, RuntimeError, FloatingPointError) as error:
        # Points of the prior are no data: an energy may be infinite there, or an end law unfitted.
        row["unknown"] = " ".join(str(error).split())[:200]
    return row


def _scoring_bytes(arm: Arm, points: jax.Array, test: int) -> int | None:
    number = -(-test // jax.local_device_count())
    blank = jnp.zeros((number, *points.shape[1:]), points.dtype)
    condition = None if arm.condition is None else arm.condition.example(number)
    rows = (blank, jax.random.split(jax.random.key(0), number), condition)
    flow = Flow(arm.prior, arm.network, arm.solver)
    function: Any = _carry.density
    if not has_density(arm.prior):
        function, rows = _carry.ends, (blank, condition)
    return bytes_of(function.lower(flow, rows).compile().compiled)


def _seconds_a_step(arm: Arm, points: jax.Array) -> float:
    history = History()
    few = arm.training.changed(
        steps=_STEPS,
        log_every=_APART,
        validate_at=(),
        patience=None,
        keep="last",
        finish=None,
        anchor_dir=None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Of data that aren't the user's.
        fit(
            arm.network,
            arm.path,
            points,
            prior=arm.prior,
            condition=None if arm.condition is None else arm.condition.example(len(points)),
            key=jax.random.key(0),
            training=few,
            history=history,
            progress=False,
        )
    # The first stretch has the compilation in it.
    return float(np.diff(history.column("seconds")).min()) / _APART
