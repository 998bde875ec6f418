"""The steps from one stop to the next, and how a run is ended between them."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax.numpy as jnp
import numpy as np

from hiflow import _processes
from hiflow._interrupts import Interrupts
from hiflow.training._checkpoints import Checkpoints, Progress
from hiflow.training._draws import Draw
from hiflow.training._lane import Lane
from hiflow.training._progress import Bar
from hiflow.training._step import Recipe, State, advance


@dataclasses.dataclass
class Watch:
    """Where the state goes while runs are trained, and who looks on."""

    checkpoints: Checkpoints
    ending: Interrupts
    bar: Bar
    together: bool
    """Whether several processes train, and end at the same step."""
    lanes: Sequence[Lane]
    """Whose histories and best weights are saved with the state."""

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Until the end of the block, what ends training waits for the state to be saved, as soon as
        there is one to save."""
        try:
            yield
        finally:
            self.ending.holding = False
        with self.ending.let_through():
            pass

    def save(self, state: State, done: Progress) -> None:
        """Keep the histories, and then the state: rows that come after it are made again."""
        self.write_histories()
        self.checkpoints.save(state.done, (state, [lane.best for lane in self.lanes]), done)

    def write_histories(self) -> None:
        """Keep the histories, if anything is kept."""
        self.checkpoints.write_histories([lane.run.history for lane in self.lanes])

    def end_if_asked(self, state: State, done: Progress) -> None:
        """Save the state and end training, if that was asked for."""
        step = state.done
        if self.together:
            if _processes.asked_to_end(step):
                self.save(state, done)
                raise InterruptedError(
                    f"fit: ended after step {step}, as a process was asked to by SIGTERM. "
                    f"{self.checkpoints.way_on}"
                )
            return
        if not self.checkpoints.kept:
            return
        if self.ending.asked is not None:
            self.save(state, done)
            saved = f"the state of step {step:,} is saved"
            self.ending.stop(f"{saved}. {self.checkpoints.way_on}")
        self.ending.holding = True


# From draws, the step to end before and a state to the new state and the mean loss on the way.
Call = Callable[[Draw, int, State], tuple[State, Any]]


def one_flow(recipe: Recipe) -> Call:
    """Trains a flow. **Raises:** `FloatingPointError` if its loss isn't finite."""

    def call(draw: Draw, until: int, state: State) -> tuple[State, float]:
        end = recipe.layout.put_whole(jnp.asarray(until, jnp.int32))
        state, mean = advance((recipe, draw, end), state)
        loss = float(mean)
        refuse_not_finite(loss, until)
        return state, loss

    return call


def refuse_not_finite(loss: float, step: int, which: str = "") -> None:
    """Raise `FloatingPointError` for a loss that isn't finite."""
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"fit: the loss{which} is {loss} before step {step}. Lower `learning_rate`, or look at the "
            "path's velocity near t = 1 (hiflow.testing.check_path)."
        )


def advance_through(
    calls: list[tuple[int, int]],
    call: Call,
    draws: Iterator[Draw],
    state: State,
    done: Progress,
    watch: Watch,
) -> tuple[State, Progress]:
    """Train through some calls."""
    begun, progress = time.perf_counter(), done
    for first, until in calls:
        state, loss = call(next(draws), until, state)
        watch.bar.show(until, float(np.mean(loss)))
        spent = time.perf_counter() - begun
        progress = progress.after(until - first, loss, done.seconds + spent)
        watch.end_if_asked(state, progress)
    return state, progress
