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
from hiflow.training._checkpoints import Checkpoints, Progress
from hiflow.training._crowd import Crowd, one_of_stack, parted, stacked
from hiflow.training._history import History
from hiflow.training._prepare import Ground, batches_of, coming, grounded, recipe_of
from hiflow.training._progress import Bar
from hiflow.training._run import Run
from hiflow.training._step import Draw, Recipe, State, advance_together, initial_state
from hiflow.training._stretch import Call, Watch, advance_through, refuse_not_finite


@dataclasses.dataclass
class _Lane:
    """One of the runs on its way."""

    run: Run
    static: PyTree
    watch: Watch
    flow: Flow | None = None
    """Once its run is over."""


def train_together(runs: Sequence[Run], checkpoints: Checkpoints, ending: Interrupts) -> list[Flow]:
    """The flows of runs that differ in keys, points and weights alone. A run that is over keeps its flow,
    and the others go on."""
    parts = [eqx.partition(run.ready.network, eqx.is_inexact_array) for run in runs]
    states = stacked(
        [
            initial_state(weights, run.ready.optimiser)
            for run, (weights, _) in zip(runs, parts, strict=True)
        ]
    )
    stops = runs[0].stops
    with Bar(runs[0].settings.steps, 0, enabled=runs[0].progress) as bar:
        lanes = []
        for i, (run, (_, static)) in enumerate(zip(runs, parts, strict=True)):
            best = run.selection.start(run.judged(one_of_stack(states, i)))
            lanes.append(
                _Lane(run, static, Watch(checkpoints, ending, bar, False, run.history, best))
            )
        all_of_them = Watch(checkpoints, ending, bar, False, History(), None)
        done = Progress()
        ground = _grounds(runs)
        call = _flows_together(
            lanes,
            [
                recipe_of(lane.run.ready, g, lane.static)
                for lane, g in zip(lanes, ground, strict=True)
            ],
        )
        crowd = Crowd.of([batches_of(run.ready, run.points, run.given, run.key) for run in runs])
        calls, draws = coming(crowd, zip([0, *stops[:-1]], stops, strict=True), ground[0])
        with closing(draws):
            for stop, upto in zip(stops, calls, strict=True):
                states, done = advance_through(upto, call, draws, states, done, all_of_them)
                seen = runs[0].logs(stop) or runs[0].validates(stop)
                for i, lane in enumerate(lanes):
                    if seen and lane.flow is None:
                        _look(
                            lane,
                            stop,
                            one_of_stack(states, i),
                            done._replace(loss=float(done.loss[i])),
                        )
                if seen:
                    done = done.reset()
                if all(lane.flow is not None for lane in lanes):
                    break
    return [lane.flow for lane in lanes]


def _look(lane: _Lane, stop: int, state: State, done: Progress) -> None:
    """Log or validate a flow; its run may be over then."""
    run = lane.run
    look = run.report if run.validates(stop) else run.log
    ended = look(state, done, lane.static, lane.watch)
    if ended is not None:
        lane.flow = run.flow(run.selection.weights(lane.watch.best, run.judged(state)), lane.static)


def _grounds(runs: Sequence[Run]) -> list[Ground]:
    """The anchors of every run; those of runs with the same points and path are made once."""
    made: dict[tuple[int, ...], Ground] = {}
    for run in runs:
        same = _alike(run)
        if same not in made:
            made[same] = grounded(
                run.ready, run.points, run.layout, together=False, progress=run.progress
            )
    return [made[_alike(run)] for run in runs]


def _alike(run: Run) -> tuple[int, ...]:
    return id(run.points), id(run.ready.path), id(run.ready.target)


def _flows_together(lanes: Sequence[_Lane], recipes: Sequence[Recipe]) -> Call:
    """Trains all flows; the losses of those whose runs aren't over must be finite."""
    shared, own = parted(recipes)

    def call(draw: Draw, until: int, states: State) -> tuple[State, np.ndarray]:
        end = jnp.asarray(until, jnp.int32)
        states, means = advance_together((shared, own, draw, end), states)
        losses = np.asarray(means, np.float64)
        for i, lane in enumerate(lanes):
            if lane.flow is None:
                refuse_not_finite(losses[i], until, f" of flow {i}")
        return states, losses

    return call
