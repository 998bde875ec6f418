"""`fit`: a network, a path and data in, a flow out."""

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from hiflow import _border, _processes, energies, networks, paths, priors
from hiflow._border import border
from hiflow._devices import as_mesh, spread_over
from hiflow._disk import fingerprint, structure
from hiflow._interrupts import Interrupts, interrupts
from hiflow.data import Source, as_source
from hiflow.energies import AbstractEnergy
from hiflow.flow import Flow
from hiflow.metrics import negative_log_likelihood
from hiflow.networks import AbstractVelocityField
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.registry import Named
from hiflow.solver import Solver, as_solver
from hiflow.standardisation import Standardised
from hiflow.training._checkpoints import Checkpoints, Progress
from hiflow.training._layout import Layout
from hiflow.training._preflight import (
    Ready,
    check_data,
    check_mesh,
    checked_sample,
    in_units,
    make_components,
    make_ready,
    warn_of_complaint,
    warn_of_own_noise,
)
from hiflow.training._prepare import prepared
from hiflow.training._progress import Bar
from hiflow.training._rehearsal import rehearse
from hiflow.training._settings import Training, as_training
from hiflow.training._step import State, initial_state
from hiflow.training._stretch import Watch, advance_through
from hiflow.training._targets import check_target_data

Row = dict[str, Any]


@border(
    "fit",
    network=_border.named(networks.registry),
    path=_border.named(paths.registry),
    data=_border.data,
    prior=_border.named(priors.registry),
    key=_border.key,
    energy=_border.named(energies.registry),
    validation=_border.data_or_none,
)
def fit(
    network: Named[AbstractVelocityField],
    path: Named[AbstractPath],
    data: object,
    *,
    prior: Named[AbstractPrior],
    key: PRNGKeyArray,
    energy: Named[AbstractEnergy] | None = None,
    validation: object = None,
    training: Training | Mapping[str, object] | None = None,
    solver_settings: Solver | Mapping[str, object] | None = None,
    callbacks: Sequence[Callable[[Row], None]] = (),
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    mesh: Mesh | None = None,
    **settings: Any,
) -> Flow:
    r"""Train `network` by conditional flow matching and return the flow with its averaged weights.

    Minimises $E\,w(t)\,\|v_\theta(t, x_t) - u_t(x_t|x_1)\|^2 / D$ over times, data points and prior
    samples. All Hessian work (the anchors) is done once, before the first step.
    The same key gives the same parameters, bit for bit, on the same machine, also after a resume.

    **Arguments:**

    - `network`, `path`, `prior`, `energy`: components, their names or tables. Without an `energy` it is
      the path's; it is for the data–energy check and `augment`.
    - `data`: `(n, *event)`, an array or [`Samples`][hiflow.data.Samples]; or a
      [`Source`][hiflow.data.Source], a memory-mapped array or a Grain data set, of which the rows of
      coming batches are read while the device trains.
    - `key`: makes batches, times and prior samples, and the weights of a network that is only named.
    - `validation`: test points, an array or [`Samples`][hiflow.data.Samples]; their NLL and NFE are
      logged at the steps `validate_at` and at the end.
    - `settings`: the fields of [`Training`][hiflow.Training], such as `steps`, `batch_size` and
      `learning_rate`; `training` gives several at once, and single ones replace its.
    - `solver_settings`: the [`Solver`][hiflow.Solver] of the returned flow and of the validation, or a
      table of its fields.
    - `callbacks`: each is called with a dict after every validation, or at the end if there is none:
      step, seconds (training only), loss, and the fields of [`NLL`][hiflow.metrics.NLL]. The state is
      saved before; if one raises or the process dies, all are called again after a resume.
    - `checkpoint_dir`: where the state is saved atomically every `checkpoint_every` steps, and where
      Ctrl-C or SIGTERM end the run, after the steps that are being made. `resume=True` goes on from the
      newest checkpoint there that is whole, on however many devices. With more `steps` than before it
      extends the run: the old schedule is kept to its end, and begins again, warm-up and cosine, over
      the steps that are added.
    - `mesh`: the devices, however they are arranged: every batch is split among them, and so are the
      validation points. Without one those are all that JAX sees, of all processes. The parameters are
      those of one device up to rounding.

    **Raises:** `ValueError` before any work is spent, if a setting is wrong, if data, prior, path and
    network don't fit together, or if `checkpoint_dir` belongs to another run or is in use by another
    process; `TypeError` for an unknown setting; `OSError` if `anchor_dir` has too little room;
    `FloatingPointError` if the loss is no longer finite; `KeyboardInterrupt` for Ctrl-C and a
    `SystemExit` with status 143 for SIGTERM, once the state is saved.
    """
    source = as_source(data)
    points = jnp.asarray(data) if source is None else source
    held_out = None if validation is None else jnp.asarray(validation)
    parts = make_components(network, path, prior, energy, points.shape[1:], key)
    ready = make_ready(*parts, as_training(training).changed(**settings))
    read = checked_sample(ready, points) if isinstance(points, Source) else points
    check_target_data(ready.target, ready.parts, points, read, getattr(data, "chains", None))
    named = {"data": read, "validation": held_out}
    check_data(ready, named, getattr(data, "chains", None))
    labels = getattr(validation, "chains", None)
    warn_of_own_noise(ready.path, ready.noise)
    ready, units = in_units(ready, read)
    if units is not None:
        points = read = jax.vmap(units)(read)
    warn_of_complaint(ready.network, read)
    line = as_mesh(mesh)
    together = check_mesh(line, checkpoint_dir is not None)
    progress = progress and _processes.leads()
    run = _Run(
        ready,
        units,
        points,
        held_out,
        labels,
        key,
        as_solver(solver_settings),
        callbacks,
        progress,
        line,
        together,
    )
    if held_out is not None:
        rehearse(Flow(ready.prior, ready.network, run.solver), held_out.shape[0])
    # Reading all data for their fingerprint is for those who keep checkpoints, or aren't alone.
    identity = {} if checkpoint_dir is None and not together else run.identity()
    if together:
        _processes.check_same(identity)
    steps = run.settings.steps
    with (
        _processes.noticing_loss(),
        # Several processes are ended together, by JAX's own notice of SIGTERM.
        nullcontext(Interrupts()) if together else interrupts() as ending,
        Checkpoints(checkpoint_dir, identity, steps, resume) as checkpoints,
        spread_over(line),
    ):
        run = dataclasses.replace(run, ready=ready.extended(checkpoints.ends))
        return run.train(checkpoints, ending)


@dataclasses.dataclass(frozen=True)
class _Run:
    """One training run: its parts, ready and checked."""

    ready: Ready
    units: Standardised | None
    points: Array | Source
    """In these units, if there are any; the held-out ones are in the data's."""
    held_out: Array | None
    chains: Shaped[Array | np.ndarray, " m"] | None
    """Of the held-out points, where they come from Markov chains."""
    key: PRNGKeyArray
    solver: Solver
    callbacks: Sequence[Callable[[Row], None]]
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

    def identity(self) -> dict[str, str]:
        """What the trained weights depend on, by name."""
        # The network's initial weights follow from a key, and may differ in their last digit elsewhere.
        parts = {
            "data": getattr(self.points, "identity", self.points),
            "network": structure(self.ready.network),
            "path": self.ready.path,
            "prior": self.ready.prior,
            "key": self.key,
        }
        found = {name: fingerprint(part=part).digest for name, part in parts.items()}
        coupling = {"coupling": fingerprint(part=self.ready.coupling).digest}
        return found | self.settings.identity() | coupling

    def train(self, checkpoints: Checkpoints, ending: Interrupts) -> Flow:
        """Train from the newest checkpoint, or from the start, to the end."""
        parameters, static = eqx.partition(self.ready.network, eqx.is_inexact_array)
        if self.together:
            # The last digit of a weight may be another on another processor.
            parameters = jax.tree.map(jnp.asarray, broadcast_one_to_all(parameters))
        first = self.layout.put(initial_state(parameters, self.ready.optimiser))
        state, done = checkpoints.restore(first)
        begun = int(state.step)
        stops = [stop for stop in self._stops() if stop > begun]
        with Bar(self.settings.steps, begun, enabled=self.progress) as bar:
            watch = Watch(checkpoints, ending, bar, self.together)
            if begun in self._validation_steps() and checkpoints.reported < begun:
                self._report(state, done, static, watch)
            if stops:
                state = self._train_on(state, done, static, stops, watch)
        return self._flow(state, static)

    def _train_on(
        self, state: State, done: Progress, static: PyTree, stops: list[int], watch: Watch
    ) -> State:
        """Train from stop to stop: at each the state is saved, then validated and reported."""
        starts = [int(state.step), *stops[:-1]]
        recipe, calls, draws = prepared(
            self.ready,
            self.points,
            self.key,
            static,
            list(zip(starts, stops, strict=True)),
            self.layout,
            together=self.together,
            progress=self.progress,
        )
        with closing(draws), watch.holding():
            for stop, upto in zip(stops, calls, strict=True):
                state, done = advance_through(upto, recipe, draws, state, done, watch)
                watch.checkpoints.save(state, done)
                if stop in self._validation_steps():
                    with watch.ending.let_through():
                        self._report(state, done, static, watch)
        return state

    def _flow(self, state: State, static: PyTree) -> Flow:
        weights = state.average if self.settings.ema > 0 else state.parameters
        weights = self.layout.ordinary(jax.tree.map(jnp.copy, weights))
        network = eqx.combine(weights, static)
        return Flow(self.ready.prior, network, self.solver, units=self.units)

    def _report(self, state: State, done: Progress, static: PyTree, watch: Watch) -> None:
        step = int(state.step)
        row: Row = {"step": step, "seconds": done.seconds, "loss": done.loss}
        if self.held_out is not None:
            watch.bar.note("validating")
            found = negative_log_likelihood(
                self._flow(state, static), self.held_out, chains=self.chains
            )
            row |= dataclasses.asdict(found)
        for callback in self.callbacks:
            callback(row)
        watch.checkpoints.report(step)

    def _validation_steps(self) -> set[int]:
        steps, at = self.settings.steps, self.settings.validate_at
        if self.held_out is None:
            return {steps}
        if isinstance(at, int):
            at = range(at, steps, at)
        return {steps, *(step for step in at if 0 < step < steps)}

    def _stops(self) -> list[int]:
        """The steps at which something is looked at or saved, in order."""
        steps, every = self.settings.steps, self.settings.checkpoint_every
        return sorted({*self._validation_steps(), *range(every, steps, every), steps})


def _with_settings(function: Callable[..., object]) -> inspect.Signature:
    """A function's signature with the fields of `Training` in place of `**settings`, for help texts."""
    signature = inspect.signature(function)
    *named, _ = signature.parameters.values()
    settings = [
        inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type
        )
        for f in dataclasses.fields(Training)
    ]
    return signature.replace(parameters=[*named, *settings])


setattr(fit, "__signature__", _with_settings(fit))  # noqa: B010  functions declare no such attribute
