"""Several training runs at once, under one compiled step."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from hiflow._interrupts import Interrupts
from hiflow.flow import Flow
from hiflow.paths import AbstractPath, AtMinimum, anchor_bytes, budget_bytes
from hiflow.training import _crowd
from hiflow.training._checkpoints import Checkpoints, Progress
from hiflow.training._course import Stretches, Way, train
from hiflow.training._crowd import Crowd, one_of_stack, parted, stacked
from hiflow.training._draws import Draw
from hiflow.training._lane import Lane
from hiflow.training._prepare import Coming, Ground, batches_of, coming, grounded, recipe_of
from hiflow.training._run import Run
from hiflow.training._step import Recipe, State, advance_together
from hiflow.training._stretch import Call, refuse_not_finite
from hiflow.training._targets import path_of


def refuse_unlike(runs: Sequence[Run]) -> None:
    """Raise `ValueError`, before any work is spent, for runs that one step can't train."""
    _crowd.refuse_unlike([run.points for run in runs], "`data`")
    _crowd.refuse_unlike([run.ready.network for run in runs], "`network`")
    settings, several = runs[0].settings, {_alike(run): run for run in runs}
    needed = sum(
        anchor_bytes(path, run.points, settings.anchor_dtype)
        for run in several.values()
        # Points that share minima need less, and how much isn't known before.
        if not isinstance(path := _path(run), AtMinimum)
    )
    if needed > (allowed := budget_bytes(settings.anchor_budget)):
        raise ValueError(_too_large(f"{needed / 1e9:,.3g} GB, more", allowed))


def train_together(runs: Sequence[Run], checkpoints: Checkpoints, ending: Interrupts) -> list[Flow]:
    """The flows of runs that differ in keys, points and weights alone."""
    lanes, states = zip(*(Lane.start(run) for run in runs), strict=True)
    start = stacked(states), Progress(loss=np.full(len(runs), np.nan))
    return train(lanes, start, Way(_prepared, one_of_stack), checkpoints, ending)


def _prepared(lanes: Sequence[Lane], stretches: Stretches) -> tuple[Call, Coming]:
    runs = [lane.run for lane in lanes]
    grounds = _grounds(runs)
    recipes = [
        recipe_of(lane.run.ready, ground, lane.static)
        for lane, ground in zip(lanes, grounds, strict=True)
    ]
    crowd = Crowd.of([batches_of(run.ready, run.points, run.given, run.key) for run in runs])
    return _flows_together(lanes, recipes), coming(crowd, stretches, grounds[0])


def _flows_together(lanes: Sequence[Lane], recipes: Sequence[Recipe]) -> Call:
    """Trains all flows. **Raises:** `FloatingPointError` if a loss isn't finite whose run isn't over."""
    shared, own = parted(recipes, "what a step does with a batch")

    def call(draw: Draw, until: int, states: State) -> tuple[State, np.ndarray]:
        end = jnp.asarray(until, jnp.int32)
        states, means = advance_together((shared, own, draw, end), states)
        losses = np.asarray(means, np.float64)
        for i, lane in enumerate(lanes):
            if lane.flow is None:
                refuse_not_finite(losses[i], until, f" of flow {i}")
        return states, losses

    return call


def _grounds(runs: Sequence[Run]) -> list[Ground]:
    """The anchors of every run; those of runs with the same points and path are made once."""
    several = {_alike(run): run for run in runs}
    made = {
        same: grounded(
            run.ready,
            run.points,
            run.layout,
            together=False,
            progress=run.progress,
            # Data sets may be at minima of different numbers.
            share=len(several) == 1,
        )
        for same, run in several.items()
    }
    for ground in made.values():
        if ground.kept.rows is not None:
            raise ValueError(_too_large("more", budget_bytes(runs[0].settings.anchor_budget)))
    return [made[_alike(run)] for run in runs]


def _too_large(needed: str, allowed: int) -> str:
    return (
        f"fit_many: the anchors of all flows are held in memory, and take {needed} than the "
        f"`anchor_budget` of {allowed / 1e9:,.3g} GB. Train fewer flows at once, make the anchors "
        "smaller (anchor_dtype='float16', a Hessian of low rank), or use hiflow.fit."
    )


def _alike(run: Run) -> tuple[int, ...]:
    """What tells runs with other anchors."""
    return id(run.points), id(run.ready.path), id(run.ready.target)


def _path(run: Run) -> AbstractPath:
    return path_of(run.ready.target, run.ready.parts)
