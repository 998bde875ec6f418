"""The search of numbers by trials: what end laws propose, and then a simplex."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hiflow.training._candidates import Candidate
from hiflow.training._likeliest import likeliest
from hiflow.training._ranges import Range, number_at, with_numbers
from hiflow.training._scores import Row
from hiflow.training._trials import SHARE, Trials

GIVEN = "as given"
# A quarter of a range apart, so that the first trials see most of it.
_APART = 0.25
# What isn't finite is the worst; a search can't subtract infinities.
_WORST = 1e30


class Search:
    """Tries numbers in a path's table, the path as given first.

    **Arguments:**

    - `path`: the table. `ranges`: what in it is searched.
    - `budget`: how many trials there are, the path as given among them.
    """

    _shown: Callable[[], None]

    def __init__(
        self, trials: Trials, path: Mapping[str, Any], ranges: Sequence[Range], budget: int
    ):
        self.trials, self.path, self.ranges, self.budget = trials, path, ranges, budget
        self.steps = max(1, trials.ready.training.steps // SHARE)
        found = [number_at(path, each) for each in ranges]
        numbers = [each for each in found if each is not None]
        whole = len(numbers) == len(ranges)
        told = f"{GIVEN}: {self._said(numbers)}" if whole else GIVEN
        self.proposed: Row | None = None
        self.given = Row(Candidate(told, path))
        self.start = np.array(
            [
                0.5 if number is None else each.share(number)
                for each, number in zip(ranges, found, strict=True)
            ]
        )
        self._known = {tuple(numbers): self.given} if whole else {}

    @property
    def rows(self) -> list[Row]:
        """All that were tried, in this order."""
        others = [row for row in self._known.values() if row is not self.given]
        return [self.given, *others]

    def run(self) -> str:
        """Spend the trials.

        **Returns:** what end laws say, in words.
        """
        with self.trials.bar(self.steps, self.budget) as self._shown:
            self._try(self.given)
            proposed, words = likeliest(self.trials.around, self.path, self.ranges, self.start)
            with contextlib.suppress(_Spent):
                start = self.start if proposed is None else self._better(proposed)
                self._go_downhill(start)
        return words

    def _better(self, proposed: np.ndarray) -> np.ndarray:
        """Of what the end laws propose and the path as given."""
        loss = self._loss(proposed)
        self.proposed = self._known[self._numbers(proposed)]
        return proposed if loss <= self.loss_of(self.given) else self.start

    def _go_downhill(self, start: np.ndarray) -> None:
        """Nelder and Mead's simplex."""
        from scipy.optimize import minimize  # Here: SciPy is slow to import, and few search.

        corners = [start + _towards_the_middle(start, k) for k in range(len(start))]
        options = {"initial_simplex": np.array([start, *corners]), "maxiter": 100 * self.budget}
        bounds = [(0.0, 1.0)] * len(start)
        minimize(self._loss, start, method="Nelder-Mead", bounds=bounds, options=options)

    def _loss(self, shares: np.ndarray) -> float:
        numbers = self._numbers(shares)
        if numbers not in self._known:
            if len(self.rows) >= self.budget:
                raise _Spent
            table = with_numbers(self.path, self.ranges, numbers)
            self._known[numbers] = Row(Candidate(self._said(numbers), table))
            self._try(self._known[numbers])
        return self.loss_of(self._known[numbers])

    def _numbers(self, shares: np.ndarray) -> tuple[float, ...]:
        pairs = zip(self.ranges, shares.tolist(), strict=True)
        return tuple(each.rounded(share) for each, share in pairs)

    def _try(self, row: Row) -> None:
        self.trials.score_one(row, self.steps)
        self._shown()

    def loss_of(self, row: Row) -> float:
        """What the search makes smaller: the mean NLL of a short trial."""
        return min(row.mean(self.steps), _WORST) if row.nll else _WORST

    def _said(self, numbers: Sequence[float]) -> str:
        short = [each.place[-1] for each in self.ranges]
        names = [
            name if short.count(name) == 1 else str(each)
            for name, each in zip(short, self.ranges, strict=True)
        ]
        return ", ".join(f"{name} {number:g}" for name, number in zip(names, numbers, strict=True))


class _Spent(Exception):  # noqa: N818  no error: the end of a search
    """No trial is left."""


def _towards_the_middle(start: np.ndarray, k: int) -> np.ndarray:
    step = np.zeros_like(start)
    step[k] = _APART if start[k] <= 0.5 else -_APART
    return step
