"""Training, of one run or several at once, from the first step or the newest checkpoint to the end."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np

from hiflow._interrupts import Interrupts
from hiflow.flow import Flow
from hiflow.training._checkpoints import Checkpoints, Progress
from hiflow.training._lane import Lane
from hiflow.training._prepare import Coming, batches_of, coming, grounded, recipe_of
from hiflow.training._progress import Bar
from hiflow.training._run import Run
from hiflow.training._step import State
from hiflow.training._stretch import Call, Watch, advance_through, one_flow

# The steps from one stop to the next.
Stretches = list[tuple[int, int]]


class Way(NamedTuple):
    """How the steps of all lanes are made."""

    prepare: Callable[[Sequence[Lane], Stretches], tuple[Call, Coming]]
    """What trains them, and what it takes on these stretches."""
    state_of: Callable[[State, int], State]
    """That of one lane."""


def train_alone(run: Run, checkpoints: Checkpoints, ending: Interrupts) -> Flow:
    """The flow of one run."""
    lane, state = Lane.start(run)
    way = Way(_alone, lambda state, _: state)
    (flow,) = train([lane], (state, Progress()), way, checkpoints, ending)
    return flow


def _alone(lanes: Sequence[Lane], stretches: Stretches) -> tuple[Call, Coming]:
    (lane,) = lanes
    run = lane.run
    ground = grounded(
        run.ready, run.points, run.layout, together=run.together, progress=run.progress
    )
    batches = batches_of(run.ready, run.points, run.given, run.key)
    return one_flow(recipe_of(run.ready, ground, lane.static)), coming(batches, stretches, ground)


def train(
    lanes: Sequence[Lane],
    start: tuple[State, Progress],
    way: Way,
    checkpoints: Checkpoints,
    ending: Interrupts,
) -> list[Flow]:
    """The flows of lanes that go step by step together. One that is over keeps its flow, and the others
    go on."""
    first, (state, done) = lanes[0].run, start
    bests = [lane.best for lane in lanes]
    (state, bests), done = checkpoints.restore((state, bests), done)
    for lane, best in zip(lanes, bests, strict=True):
        lane.restored(best)
    begun = state.done
    checkpoints.recall([lane.run.history for lane in lanes], begun)
    with Bar(first.settings.steps, begun, enabled=first.progress) as bar:
        course = _Course(lanes, way, Watch(checkpoints, ending, bar, first.together, lanes))
        done = course.take_up(state, done)
        stops = [stop for stop in first.stops if stop > begun]
        if stops and course.going:
            state = course.go_on(state, done, stops)
    return [lane.flow or lane.end(way.state_of(state, i)) for i, lane in enumerate(lanes)]


@dataclasses.dataclass(frozen=True)
class _Course:
    """What stays the same from stop to stop."""

    lanes: Sequence[Lane]
    way: Way
    watch: Watch

    @property
    def going(self) -> list[tuple[int, Lane]]:
        """The lanes whose runs aren't over, with their numbers."""
        return [(i, lane) for i, lane in enumerate(self.lanes) if lane.flow is None]

    def take_up(self, state: State, done: Progress) -> Progress:
        """Do what is left to do at the step where the runs begin."""
        run, begun = self.lanes[0].run, state.done
        validates = run.validates(begun)
        again = validates and self.watch.checkpoints.reported >= begun
        # A state is saved before it is validated: what that made of the best weights isn't in it.
        if validates and (not again or run.settings.selects):
            self._report(state, done, silent=again)
        else:
            for i, lane in self.going:
                lane.take_up(self.way.state_of(state, i), _of_lane(done, i))
        return done.reset() if any(lane.noted(begun) for lane in self.lanes) else done

    def go_on(self, state: State, done: Progress, stops: list[int]) -> State:
        """Train from stop to stop: at each the state is saved, then validated and reported."""
        stretches = list(zip([state.done, *stops[:-1]], stops, strict=True))
        call, (calls, draws) = self.way.prepare(self.lanes, stretches)
        run, watch = self.lanes[0].run, self.watch
        with closing(draws), watch.holding():
            for stop, upto in zip(stops, calls, strict=True):
                state, done = advance_through(upto, call, draws, state, done, watch)
                if run.logs(stop):
                    for i, lane in self.going:
                        lane.log(self.way.state_of(state, i), _of_lane(done, i))
                    done = done.reset()
                if run.saves(stop) or not self.going:
                    watch.save(state, done)
                if run.validates(stop):
                    with watch.ending.let_through():
                        self._report(state, done)
                    done = done.reset()
                if not self.going:
                    break
        return state

    def _report(self, state: State, done: Progress, *, silent: bool = False) -> None:
        """Validate all that isn't over."""
        told = [
            lane.report(
                self.way.state_of(state, i), _of_lane(done, i), self.watch.bar, silent=silent
            )
            for i, lane in self.going
        ]
        self.watch.write_histories()
        if all(told):
            self.watch.checkpoints.report(state.done)


def _of_lane(done: Progress, i: int) -> Progress:
    return done._replace(loss=float(np.ravel(done.loss)[i]))
