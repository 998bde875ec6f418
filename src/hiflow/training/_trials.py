"""Trials: candidates trained on parts of the data, and judged by the rest."""

import dataclasses
import math
import warnings
from collections.abc import Iterator, Sequence, Sized

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._notebook import without_widgets
from hiflow._statistics import standard_error
from hiflow.paths import AbstractPath
from hiflow.solver import Solver
from hiflow.training._candidates import Candidate
from hiflow.training._components import Components
from hiflow.training._evidence import first_line
from hiflow.training._fit import fit
from hiflow.training._preflight import Ready

# From so many points on one part is left out, of so many at most.
_MANY, _LEFT_OUT = 200, 256
_FOLDS = 5
_FAILURES = (ValueError, FloatingPointError, RuntimeError, MemoryError)
Split = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass
class Row:
    """A candidate, with the NLL of every point that was left out, by the number of steps."""

    candidate: Candidate
    nll: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    failed: str | None = None

    @property
    def why_not(self) -> str | None:
        """Why it isn't trained, or not further."""
        return self.candidate.excluded if self.failed is None else self.failed

    def mean(self, steps: int) -> float:
        """What isn't finite is never the least."""
        found = float(np.mean(self.nll[steps]))
        return found if math.isfinite(found) else math.inf

    @property
    def steps(self) -> int:
        """The most, unless fewer are better by more than a standard error: parts of few points are
        learned by heart sooner than all of them."""
        most = max(self.nll)
        few = min(self.nll, key=self.mean)
        more = self.nll[most] - self.nll[few]
        told = len(more) > 1 and not self.mean(most) - self.mean(few) <= standard_error(more)
        return few if told else most

    @property
    def least(self) -> float:
        """After that many; infinite for one that wasn't trained."""
        return self.mean(self.steps) if self.nll else math.inf

    @property
    def best(self) -> np.ndarray:
        """The NLLs after that many."""
        return self.nll[self.steps]


@dataclasses.dataclass(frozen=True)
class Trials:
    """Trains candidates on the points of every split, all with the same initial weights, batches, times
    and prior samples.

    **Arguments:**

    - `ready`: the run's parts, in the data's own coordinates.
    - `splits`: of every trial, which points it sees and which are left out.
    """

    ready: Ready
    points: Float[Array, "n *event"]
    splits: Sequence[Split]
    solver: Solver
    key: Array
    progress: bool

    def path(self, candidate: Candidate) -> AbstractPath:
        """Made with what the run's parts know."""
        made = Components(self.points.shape[1:], self.key)
        return made.path(candidate.path, self.ready.prior, self.ready.energy)

    def score(self, rows: Sequence[Row], steps: int) -> None:
        """Fill in the NLLs after so many steps of those that haven't failed or been ruled out."""
        from rich.progress import track

        left = [row for row in rows if row.why_not is None and steps not in row.nll]
        quiet = not self.progress or without_widgets()
        for row in track(left, f"trials of {steps:,} steps", disable=quiet, transient=True):
            try:
                found = [self._nll(row.candidate, steps, k) for k in range(len(self.splits))]
            except _FAILURES as error:
                row.failed = f"it fails: {first_line(error)}"
            else:
                row.nll[steps] = np.concatenate(found)

    def _nll(self, candidate: Candidate, steps: int, k: int) -> np.ndarray:
        """Of the points that a split leaves out."""
        seen, left_out = self.splits[k]
        key_fit, key_probes = jax.random.split(jax.random.fold_in(self.key, k))
        short = self.ready.training.changed(
            steps=steps, validate_at=(), patience=None, keep="last", finish=None, anchor_dir=None
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # The whole data have been looked at.
            flow = fit(
                self.ready.network,
                self.path(candidate),
                self.points[seen],
                prior=self.ready.prior,
                energy=self.ready.energy,
                key=key_fit,
                training=short,
                solver_settings=self.solver,
                progress=False,
            )
        return -np.asarray(flow.log_prob(self.points[left_out], key=key_probes), np.float64)


def splits_of(
    n: int, chains: Sized | None, folds: int | None, key: PRNGKeyArray
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
        folds = 1 if n >= _MANY else min(_FOLDS, units)
    if units < max(2, folds):
        what = "points" if chains is None else "chains"
        raise ValueError(
            f"choose_path: `data` must have at least {max(2, folds)} {what}, so that one part can be "
            f"judged by the rest; got {units}. Lower `folds`, or choose a path by other points."
        )
    order = np.asarray(jax.random.permutation(key, units))
    share = max(1, min(units // _FOLDS, _LEFT_OUT * units // n))
    parts = [order[:share]] if folds == 1 else np.array_split(order, folds)
    for part in parts:
        out = np.isin(labels, part)
        yield np.flatnonzero(~out), np.flatnonzero(out)
