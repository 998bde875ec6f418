"""One flow on its way through its run: its history, its best weights and its end."""

import dataclasses
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.experimental.multihost_utils import broadcast_one_to_all
from jaxtyping import Array, PyTree

from hiflow import _processes
from hiflow.flow import Flow
from hiflow.metrics import NLL, held_out_score
from hiflow.training._checkpoints import Progress
from hiflow.training._history import Row
from hiflow.training._moments import Moment, show
from hiflow.training._progress import Bar
from hiflow.training._run import Run
from hiflow.training._selection import Best
from hiflow.training._step import State, initial_state


@dataclasses.dataclass
class Lane:
    """A run as far as it has come."""

    run: Run
    static: PyTree
    """What of its network isn't trained."""
    best: Best | None
    """By the validations so far; saved with the state. After an end by patience its weights are those
    that the flow has."""
    flow: Flow | None = None
    """Once the run is over."""

    @classmethod
    def start(cls, run: Run) -> "tuple[Lane, State]":
        """Before the first step."""
        parameters, static = eqx.partition(run.ready.network, eqx.is_inexact_array)
        if run.together:
            # The last digit of a weight may be another on another processor.
            parameters = jax.tree.map(jnp.asarray, broadcast_one_to_all(parameters))
        state = run.layout.put(initial_state(parameters, run.ready.optimiser))
        return cls(run, static, run.layout.put(run.selection.start(run.judged(state)))), state

    def restored(self, best: Best | None) -> None:
        """Go on with what validations have found; the run may have been over."""
        self.best = best
        if best is not None and self.run.selection.is_over(best):
            self.flow = self.run.flow(best.weights, self.static)

    def take_up(self, state: State, done: Progress) -> None:
        """Show the callbacks the row of the step at which the run is taken up, if it is of a log; a run
        that was asked to end there hasn't made it yet."""
        rows, begun = self.run.history.rows, state.done
        if rows and begun < self.run.settings.steps:
            rows[-1].pop("ended", None)
        if self.run.logs(begun):
            if self.noted(begun):
                self._show(rows[-1], state)
            elif done.steps:
                self.log(state, done)

    def noted(self, step: int) -> bool:
        """Whether the last row is of this step."""
        rows = self.run.history.rows
        return bool(rows) and rows[-1]["step"] == step

    def log(self, state: State, done: Progress) -> None:
        """Note the loss; the run is over if a callback says so."""
        row: Row = {"step": state.done, "seconds": done.seconds, "loss": done.loss}
        self.run.history.add(row)
        self._show(row, state)

    def report(self, state: State, done: Progress, bar: Bar, *, silent: bool = False) -> bool:
        """Validate, and show it to the callbacks unless `silent`; the run may be over then. Whether that
        needn't be done again after a resume: a callback that ends a run is asked again."""
        run, step = self.run, state.done
        row: Row = {"step": step, "seconds": done.seconds, "loss": done.loss}
        if run.held_out is not None:
            bar.note("validating")
            row |= self._judged(state, run.held_out)
        ended = "steps" if step == run.settings.steps else None
        ended = "patience" if run.selection.is_over(self.best) else ended
        if ended is not None:
            row["ended"] = ended
        run.history.add(row)
        stopped = None if silent else self._show(row, state, validated=True)
        if ended is not None and self.flow is None:
            self.end(state)
        return stopped is None or ended is not None

    def end(self, state: State) -> Flow:
        """The flow of a run that is over with this state."""
        selection = self.run.selection
        weights = selection.weights(self.best, self.run.judged(state))
        if self.best is not None and selection.is_over(self.best):
            self.best = dataclasses.replace(self.best, weights=weights)
        self.flow = self.run.flow(weights, self.static)
        return self.flow

    def _judged(self, state: State, points: Array) -> Row:
        """What a validation finds."""
        run, weights = self.run, self.run.judged(state)
        flow = run.flow(weights, self.static)
        found = held_out_score(flow, points, chains=run.chains, condition=run.given.held_out)
        row = dataclasses.asdict(found)
        if self.best is None or not isinstance(found, NLL):
            return row
        best = run.selection.judged(self.best, weights, found.nll, state.done)
        self.best = run.layout.put(best)
        return row | {"best_step": int(best.step), "best_nll": float(best.nll)}

    def _show(self, row: Row, state: State, *, validated: bool = False) -> str | None:
        """Show the callbacks a row; why the run is over, if one of them says so."""
        run = self.run
        make = partial(run.flow, run.judged(state), self.static)
        stopped = show(run.callbacks, Moment(row, run.history, validated, make))
        if run.together:
            stopped = next(filter(None, _processes.exchange(stopped or "")), None)
        if stopped is not None:
            row.setdefault("ended", stopped)
            self.end(state)
        return stopped
