"""One training run from its first step, or its newest checkpoint, to its end."""

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from hiflow import _processes
from hiflow._disk import fingerprint, structure
from hiflow._interrupts import Interrupts
from hiflow.data import Source
from hiflow.flow import Flow
from hiflow.metrics import NLL, held_out_score
from hiflow.solver import Solver
from hiflow.standardisation import Standardised
from hiflow.training._checkpoints import Checkpoints, Progress
from hiflow.training._conditions import Given
from hiflow.training._history import History, Row
from hiflow.training._layout import Layout
from hiflow.training._moments import AnyCallback, Moment, show
from hiflow.training._preflight import Ready
from hiflow.training._prepare import batches_of, coming, grounded, recipe_of
from hiflow.training._progress import Bar
from hiflow.training._selection import Selection
from hiflow.training._settings import Training
from hiflow.training._step import State, initial_state
from hiflow.training._stretch import Watch, advance_through, one_flow


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run: its parts, ready and checked."""

    ready: Ready
    units: Standardised | None
    points: Array | Source
    """In these units, if there are any; the held-out ones are in the data's."""
    held_out: Array | None
    chains: Shaped[Array | np.ndarray, " m"] | None
    """Of the held-out points, where they come from Markov chains."""
    given: Given
    key: PRNGKeyArray
    solver: Solver
    callbacks: Sequence[AnyCallback]
    history: History
    progress: bool
    mesh: Mesh | None
    together: bool
    """Whether the mesh is of several processes."""

    @property
    def settings(self) -> Training:
        return self.ready.training

    @property
    def layout(self) -> Layout:
        return Layout(self.mesh, self.settings.shard_parameters)

    @property
    def selection(self) -> Selection:
        return Selection(self.settings)

    def identity(self) -> dict[str, str]:
        """What the trained weights depend on, by name."""
        # The network's initial weights follow from a key, and may differ in their last digit elsewhere.
        parts = {
            "data": getattr(self.points, "identity", self.points),
            "network": structure(self.ready.network),
            "path": self.ready.path,
            "prior": self.ready.prior,
            "key": self.key,
            "validation": self._choice(),
        }
        if self.given.data is not None:
            parts["condition"] = self.given.data
        found = {name: fingerprint(part=part).digest for name, part in parts.items()}
        coupling = {"coupling": fingerprint(part=self.ready.coupling).digest}
        return found | self.settings.identity() | coupling

    def _choice(self) -> PyTree:
        """What validation is made of, where the weights depend on it."""
        if not self.settings.selects:
            return None
        chosen = self.held_out, self.settings.validate_at, self.solver
        return chosen if self.given.held_out is None else (*chosen, self.given.held_out)

    def train(self, checkpoints: Checkpoints, ending: Interrupts) -> Flow:
        """Train from the newest checkpoint, or from the start, to the end."""
        parameters, static = eqx.partition(self.ready.network, eqx.is_inexact_array)
        if self.together:
            # The last digit of a weight may be another on another processor.
            parameters = jax.tree.map(jnp.asarray, broadcast_one_to_all(parameters))
        first = self.layout.put(initial_state(parameters, self.ready.optimiser))
        best = self.layout.put(self.selection.start(self.judged(first)))
        (state, best), done = checkpoints.restore((first, best))
        begun = int(state.step)
        checkpoints.recall(self.history, begun)
        with Bar(self.settings.steps, begun, enabled=self.progress) as bar:
            watch = Watch(checkpoints, ending, bar, self.together, self.history, best)
            ended, done = self._taken_up(state, done, static, watch)
            stops = [stop for stop in self.stops if stop > begun]
            if stops and ended is None:
                state = self._train_on(state, done, static, stops, watch)
        return self.flow(self.selection.weights(watch.best, self.judged(state)), static)

    def _taken_up(
        self, state: State, done: Progress, static: PyTree, watch: Watch
    ) -> tuple[str | None, Progress]:
        """Do what is left to do at the step where the run begins; why it ends there, if it does."""
        begun = int(state.step)
        if begun in self._validation_steps:
            again = watch.checkpoints.reported >= begun
            ended = None
            # A state is saved before it is validated: what that made of the best weights isn't in it.
            if not again or self.settings.selects:
                ended = self.report(state, done, static, watch, silent=again)
            return ended, done.reset()
        last = self.history.rows[-1] if self.history.rows else {}
        last.pop("ended", None)
        if last.get("step") == begun and begun in self._log_steps:
            return self._shown(last, state, static, watch, validated=False), done
        return None, done

    def _train_on(
        self, state: State, done: Progress, static: PyTree, stops: list[int], watch: Watch
    ) -> State:
        """Train from stop to stop: at each the state is saved, then validated and reported."""
        starts = [int(state.step), *stops[:-1]]
        ground = grounded(
            self.ready, self.points, self.layout, together=self.together, progress=self.progress
        )
        call = one_flow(recipe_of(self.ready, ground, static))
        batches = batches_of(self.ready, self.points, self.given, self.key)
        calls, draws = coming(batches, zip(starts, stops, strict=True), ground)
        with closing(draws), watch.holding():
            for stop, upto in zip(stops, calls, strict=True):
                state, done = advance_through(upto, call, draws, state, done, watch)
                ended = None
                if self.logs(stop):
                    ended = self.log(state, done, static, watch)
                    done = done.reset()
                if self.saves(stop) or ended is not None:
                    watch.save(state, done)
                if self.validates(stop):
                    with watch.ending.let_through():
                        ended = self.report(state, done, static, watch)
                    done = done.reset()
                if ended is not None:
                    break
        return state

    def validates(self, step: int) -> bool:
        """Whether the flow is judged, or at its end, after this step."""
        return step in self._validation_steps

    def logs(self, step: int) -> bool:
        """Whether the loss alone is noted after this step."""
        return step in self._log_steps and not self.validates(step)

    def saves(self, step: int) -> bool:
        """Whether the state is kept after this step."""
        return step in self._saved_steps or self.validates(step)

    def judged(self, state: State) -> PyTree:
        """The weights that a flow has."""
        return state.average if self.settings.ema > 0 else state.parameters

    def flow(self, weights: PyTree, static: PyTree) -> Flow:
        weights = self.layout.ordinary(jax.tree.map(jnp.copy, weights))
        network = eqx.combine(weights, static)
        return Flow(self.ready.prior, network, self.solver, units=self.units)

    def log(self, state: State, done: Progress, static: PyTree, watch: Watch) -> str | None:
        """Note the loss; why the run is to end here, if a callback says so."""
        row: Row = {"step": int(state.step), "seconds": done.seconds, "loss": done.loss}
        self.history.add(row)
        return self._shown(row, state, static, watch, validated=False)

    def report(
        self, state: State, done: Progress, static: PyTree, watch: Watch, *, silent: bool = False
    ) -> str | None:
        """Validate, and show it to the callbacks unless `silent`; why the run is to end, if it is."""
        step = int(state.step)
        row: Row = {"step": step, "seconds": done.seconds, "loss": done.loss}
        if self.held_out is not None:
            watch.bar.note("validating")
            weights = self.judged(state)
            flow = self.flow(weights, static)
            found = held_out_score(
                flow, self.held_out, chains=self.chains, condition=self.given.held_out
            )
            row |= dataclasses.asdict(found)
            if watch.best is not None and isinstance(found, NLL):
                watch.best = self.layout.put(
                    self.selection.judged(watch.best, weights, found.nll, step)
                )
                row |= {"best_step": int(watch.best.step), "best_nll": float(watch.best.nll)}
        ended = "steps" if step == self.settings.steps else None
        ended = "patience" if self.selection.is_over(watch.best) else ended
        if ended is not None:
            row["ended"] = ended
        self.history.add(row)
        stopped = None if silent else self._shown(row, state, static, watch, validated=True)
        watch.write_history()
        if stopped is None or ended is not None:
            watch.checkpoints.report(step)
        return ended or stopped

    def _shown(
        self, row: Row, state: State, static: PyTree, watch: Watch, *, validated: bool
    ) -> str | None:
        """Show the callbacks a row; why the run is to end, if one of them says so."""
        make = partial(self.flow, self.judged(state), static)
        stopped = show(self.callbacks, Moment(row, self.history, validated, make))
        if self.together:
            stopped = next(filter(None, _processes.exchange(stopped or "")), None)
        if stopped is not None:
            row.setdefault("ended", stopped)
        return stopped

    @cached_property
    def _validation_steps(self) -> frozenset[int]:
        steps, at = self.settings.steps, self.settings.validate_at
        if self.held_out is None:
            return frozenset({steps})
        if isinstance(at, int):
            at = range(at, steps, at)
        return frozenset({steps, *(step for step in at if 0 < step < steps)})

    @cached_property
    def _log_steps(self) -> range:
        every = self.settings.log_every
        return range(every, self.settings.steps, every)

    @cached_property
    def _saved_steps(self) -> frozenset[int]:
        steps, every = self.settings.steps, self.settings.checkpoint_every
        return frozenset({*range(every, steps, every), steps})

    @cached_property
    def stops(self) -> list[int]:
        """The steps at which something is looked at or saved, in order."""
        return sorted({*self._validation_steps, *self._saved_steps, *self._log_steps})
