"""Trials: candidates trained on data and judged by other points, or on parts of them and by the rest."""

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import _border
from hiflow._notebook import without_widgets
from hiflow.data import as_source
from hiflow.energies import AbstractEnergy
from hiflow.networks import AbstractVelocityField, conditions_of
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.priors._density import refuse_without_density
from hiflow.registry import Named
from hiflow.solver import Solver, as_solver
from hiflow.training._candidates import Candidate
from hiflow.training._components import Components, make_components
from hiflow.training._data_checks import check_data
from hiflow.training._evidence import Surroundings, first_line
from hiflow.training._fit import fit
from hiflow.training._kept_trials import KeptTrials
from hiflow.training._preflight import Ready, in_units, make_ready
from hiflow.training._scores import Row
from hiflow.training._settings import Training, as_training

# From so many points on one part is left out, of so many at most.
MANY, _LEFT_OUT = 200, 256
_FOLDS = 5
# Errors of scores are over chains, of which that many are left out even if they have more points.
_CHAINS = 8
# Trials of all candidates have one in so many of the steps.
SHARE = 4
_FAILURES = (ValueError, FloatingPointError, RuntimeError, MemoryError)
# Arguments of `fit` that a trial doesn't have.
_OF_FIT = {"validation", "callbacks", "history", "checkpoint_dir", "resume", "mesh"}
Split = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Trials:
    """Trains candidates on the points of every split, all with the same initial weights, batches, times
    and prior samples.

    **Arguments:**

    - `ready`: the run's parts, in the data's own coordinates.
    - `splits`: of every trial, which points it sees and which are left out.
    - `kept`: what trials have found already.
    - `judges`: points that judge what all of the `points` train, in place of the splits: where all of
      these were moved to, once or several times.
    - `chains`: the Markov chain of every point, if they aren't independent.
    """

    ready: Ready
    points: Float[Array, "n *event"]
    splits: Sequence[Split]
    solver: Solver
    key: Array
    progress: bool
    kept: KeptTrials = dataclasses.field(default_factory=KeptTrials)
    judges: Float[Array, "moved *event"] | None = None
    chains: np.ndarray | None = None

    @property
    def around(self) -> Surroundings:
        """What paths are looked at in before any is trained."""
        inside, units = in_units(self.ready, self.points)
        both = self.points, self.judges
        points, judges = both if units is None else jax.tree.map(jax.vmap(units), both)
        return Surroundings(inside, points, self.key, judges)

    def path(self, candidate: Candidate) -> AbstractPath:
        """Made with what the run's parts know."""
        made = Components(self.points.shape[1:], self.key)
        return made.path(candidate.path, self.ready.prior, self.ready.energy)

    def told(self, nll: float, steps: int) -> str:
        """A mean NLL after so many steps, in words."""
        if self.judges is not None:
            whose = f"{len(self.judges):,} points to which the energy moves the data"
            return f"{steps:,} steps, a mean NLL of {nll:.3f} nats of {whose}"
        count, parts = sum(len(out) for _, out in self.splits), len(self.splits)
        how = f"{count:,} points that were left out" + (f" in {parts} parts" if parts > 1 else "")
        return f"{steps:,} steps, a mean NLL of {nll:.3f} nats of {how}"

    def score(self, rows: Sequence[Row], steps: int) -> None:
        """Fill in the NLLs after so many steps of those that haven't failed or been ruled out."""
        with self.bar(steps, len(rows)) as shown:
            for row in rows:
                self.score_one(row, steps)
                shown()

    def score_one(self, row: Row, steps: int) -> None:
        """That of one, without a bar."""
        if row.why_not is not None or steps in row.nll:
            return
        try:
            row.nll[steps] = self._scored(row.candidate, steps)
            row.chains = self._chains
        except _FAILURES as error:
            row.failed = f"it fails: {first_line(error)}"

    @contextlib.contextmanager
    def bar(self, steps: int, number: int) -> Iterator[Callable[[], None]]:
        """A progress bar of so many trials; call what it gives after each of them."""
        from rich.progress import Progress

        quiet = not self.progress or without_widgets()
        with Progress(transient=True, disable=quiet) as progress:
            task = progress.add_task(f"trials of {steps:,} steps", total=number)
            yield lambda: progress.advance(task)

    @property
    def _chains(self) -> np.ndarray | None:
        """Those of the points that judge, as `_judged` has them in order."""
        if self.chains is None or self.judges is not None:
            return self.chains
        return np.concatenate([self.chains[out] for _, out in self.splits])

    def _scored(self, candidate: Candidate, steps: int) -> np.ndarray:
        """Of all points that are left out, unless it is known."""
        name = f"{candidate.label}: {steps} steps"
        found = self.kept.get(name)
        if found is None:
            found = self._judged(candidate, steps)
            self.kept.keep(name, found)
        return found

    def _judged(self, candidate: Candidate, steps: int) -> np.ndarray:
        x = self.points
        if self.judges is None:
            parts = [
                self._nll(candidate, steps, k, x[seen], x[out])
                for k, (seen, out) in enumerate(self.splits)
            ]
            return np.concatenate(parts)
        nll = self._nll(candidate, steps, 0, x, self.judges)
        # Points that were moved from the same one aren't independent: their mean counts once.
        return nll.reshape(-1, len(x)).mean(axis=0)

    def _nll(
        self, candidate: Candidate, steps: int, k: int, seen: Array, left_out: Array
    ) -> np.ndarray:
        """Of the points that weren't seen."""
        key_fit, key_probes = jax.random.split(jax.random.fold_in(self.key, k))
        short = self.ready.training.changed(
            steps=steps, validate_at=(), patience=None, keep="last", finish=None, anchor_dir=None
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # The whole data have been looked at.
            flow = fit(
                self.ready.network,
                self.path(candidate),
                seen,
                prior=self.ready.prior,
                energy=self.ready.energy,
                key=key_fit,
                training=short,
                solver_settings=self.solver,
                progress=False,
            )
        return -np.asarray(flow.log_prob(left_out, key=key_probes), np.float64)


def trials_of(
    owner: str,
    network: Named[AbstractVelocityField],
    path: Named[AbstractPath],
    data: object,
    *,
    prior: Named[AbstractPrior],
    energy: Named[AbstractEnergy] | None,
    key: PRNGKeyArray,
    folds: int | None,
    training: Training | Mapping[str, object] | None,
    solver_settings: Solver | Mapping[str, object] | None,
    progress: bool,
    **settings: Any,
) -> Trials:
    """Trials of paths beside this one, in which everything else stays as it is.

    **Raises:** `ValueError`, with `owner` as whom it is of, for whatever doesn't fit together.
    """
    for name in _OF_FIT & settings.keys():
        raise TypeError(
            f"{owner}: `{name}` is for hiflow.fit. Trials are judged by points that are left out of "
            "`data`, or to which the energy moves them."
        )
    points, chains = _points(data, f"{owner}: `data`"), getattr(data, "chains", None)
    chosen = as_training(training).changed(**settings)
    parts = make_components(network, path, prior, energy, points.shape[1:], key)
    ready = make_ready(*parts, chosen)
    refuse_conditions(ready.network, getattr(data, "condition", None) is not None, owner)
    check_data(ready, {"data": points}, chains)
    refuse_without_density(ready.prior, owner)
    splits = list(splits_of(len(points), chains, folds, key, owner))
    labels = None if chains is None else np.asarray(chains)
    solver = as_solver(solver_settings)
    return Trials(ready, points, splits, solver, key, progress, chains=labels)


def refuse_conditions(
    network: AbstractVelocityField | None, told: bool, owner: str = "choose_path"
) -> None:
    """Raise `ValueError` for flows of conditions: what is seen of all points together, such as how far
    they are apart, isn't what holds under one condition."""
    if told or conditions_of(network) is not None:
        raise ValueError(
            f"{owner}: no path is chosen for flows of conditions: candidates are judged by all "
            "points together, which aren't those of one condition. Give a path, or choose one by those "
            "of one condition, `samples.untold()`, with a network that takes none (in a file: "
            "`condition` = false of the arm)."
        )


def _points(value: object, what: str) -> Array:
    """Those of an array or of samples, whole."""
    if as_source(value) is not None:
        raise ValueError(
            f"{what} must be an array or Samples: a choice is made by all points of a few hundred to "
            f"thousands. Pass some of them; got a {type(value).__name__}."
        )
    return _border.points(value, what)


def optional_size(value: object, what: str) -> int | None:
    """A whole number of at least 1, or none."""
    return None if value is None else _border.size(value, what)


def splits_of(
    n: int, chains: Sized | None, folds: int | None, key: PRNGKeyArray, owner: str = "choose_path"
) -> Iterator[Split]:
    """Every part that is left out, beside the points that it is left out of; those of one chain stay
    together.

    **Raises:** `ValueError` for fewer points or chains than parts, or than two.
    """
    labels = (
        np.arange(n) if chains is None else np.unique(np.asarray(chains), return_inverse=True)[1]
    )
    units = len(np.unique(labels))
    if folds is None:
        folds = 1 if n >= MANY and units >= 2 * _FOLDS else min(_FOLDS, units)
    if units < max(2, folds):
        what = "points" if chains is None else "chains"
        raise ValueError(
            f"{owner}: `data` must have at least {max(2, folds)} {what}, so that one part can be "
            f"judged by the rest; got {units}. Lower `folds`, or choose a path by other points."
        )
    order = np.asarray(jax.random.permutation(key, units))
    share = max(1, min(units // _FOLDS, max(_CHAINS, _LEFT_OUT * units // n)))
    parts = [order[:share]] if folds == 1 else np.array_split(order, folds)
    for part in parts:
        out = np.isin(labels, part)
        yield np.flatnonzero(~out), np.flatnonzero(out)
