"""Several training runs at once, under one compiled step."""

import dataclasses
from collections.abc import Sequence
from contextlib import closing

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from hiflow._interrupts import Interrupts
from hiflow.flow import Flow
from hiflow.paths import AbstractPath, AtMinimum, anchor_bytes, budget_bytes
from hiflow.training import _crowd
from hiflow.training._checkpoints import Checkpoints, Progress
from hiflow.training._crowd import Crowd, one_of_stack, parted, stacked
from hiflow.training._draws import Draw
from hiflow.training._history import History
from hiflow.training._prepare import Ground, batches_of, coming, grounded, recipe_of
from hiflow.training._progress import Bar
from hiflow.training._run import Run
from hiflow.training._step import Recipe, State, advance_together, initial_state
from hiflow.training._stretch import Call, Watch, advance_through, refuse_not_finite
from hiflow.training._targets import path_of


@dataclasses.dataclass
class _Lane:
    """One of the runs on its way."""

    run: Run
    static: PyTree
    """What of its network isn't trained."""
    watch: Watch
    flow: Flow | None = None
    """Once its run is over."""

    def look(self, state: State, done: Progress) -> None:
        """Log the loss, or validate; the run may be over then."""
        run = self.run
        look = run.report if run.validates(state.done) else run.log
        if look(state, done, self.static, self.watch) is not None:
            weights = run.selection.weights(self.watch.best, run.judged(state))
            self.flow = run.flow(weights, self.static)


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


def train_together(runs: Sequence[Run], ending: Interrupts) -> list[Flow]:
    """The flows of runs that differ in keys, points and weights alone. A run that is over keeps its
    flow, and the others go on."""
    first, nothing = runs[0], Checkpoints(None, {}, runs[0].settings.steps, resume=False)
    parts = [eqx.partition(run.ready.network, eqx.is_inexact_array) for run in runs]
    states = [
        initial_state(weights, run.ready.optimiser)
        for run, (weights, _) in zip(runs, parts, strict=True)
    ]
    bests = [
        run.selection.start(run.judged(state)) for run, state in zip(runs, states, strict=True)
    ]
    with Bar(first.settings.steps, 0, enabled=first.progress) as bar:
        lanes = [
            _Lane(run, static, Watch(nothing, ending, bar, False, run.history, best))
            for run, (_, static), best in zip(runs, parts, bests, strict=True)
        ]
        _train(lanes, stacked(states), Watch(nothing, ending, bar, False, History(), None))
    return [lane.flow for lane in lanes if lane.flow is not None]


def _train(lanes: Sequence[_Lane], states: State, watch: Watch) -> None:
    """Train until all runs are over."""
    runs = [lane.run for lane in lanes]
    first, stops = runs[0], runs[0].stops
    grounds = _grounds(runs)
    recipes = [
        recipe_of(lane.run.ready, ground, lane.static)
        for lane, ground in zip(lanes, grounds, strict=True)
    ]
    call = _flows_together(lanes, recipes)
    crowd = Crowd.of([batches_of(run.ready, run.points, run.given, run.key) for run in runs])
    calls, draws = coming(crowd, zip([0, *stops[:-1]], stops, strict=True), grounds[0])
    done = Progress()
    with closing(draws):
        for stop, upto in zip(stops, calls, strict=True):
            states, done = advance_through(upto, call, draws, states, done, watch)
            if not (first.logs(stop) or first.validates(stop)):
                continue
            for i, lane in enumerate(lanes):
                if lane.flow is None:
                    lane.look(one_of_stack(states, i), done._replace(loss=float(done.loss[i])))
            done = done.reset()
            if all(lane.flow is not None for lane in lanes):
                return


def _flows_together(lanes: Sequence[_Lane], recipes: Sequence[Recipe]) -> Call:
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
