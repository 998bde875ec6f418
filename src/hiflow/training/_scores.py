"""What trials have found of a candidate, and how it is told."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from hiflow._statistics import standard_error
from hiflow.training._candidates import Candidate
from hiflow.training._choice import Tried


@dataclasses.dataclass
class Row:
    """A candidate, with the NLL of every point that was left out, by the number of steps; with judges,
    of every point from which they were moved, in the mean over where it went. `chains` are those of
    these points, if they aren't independent."""

    candidate: Candidate
    nll: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    failed: str | None = None
    chains: np.ndarray | None = None

    @property
    def why_not(self) -> str | None:
        """Why it isn't trained, or not further."""
        return self.candidate.excluded if self.failed is None else self.failed

    @property
    def trouble(self) -> str:
        """Why nothing can be made of it."""
        return self.why_not or "its NLL is not finite"

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
        told = len(more) > 1 and not self.mean(most) - self.mean(few) <= self.error(more)
        return few if told else most

    def error(self, more: np.ndarray) -> float:
        """The standard error of a mean over its points."""
        return standard_error(more, self.chains)

    def told(self, more: np.ndarray) -> str:
        """The mean of differences over its points, with its standard error."""
        error = f" ± {self.error(more):.3f}" if len(more) > 1 else ""
        return f"{more.mean():+.3f}{error}"

    @property
    def least(self) -> float:
        """After that many; infinite for one that wasn't trained."""
        return self.mean(self.steps) if self.nll else math.inf

    @property
    def best(self) -> np.ndarray:
        """The NLLs after that many."""
        return self.nll[self.steps]


def why_none(rows: Sequence[Row]) -> str:
    """What became of rows of which none can be used, in words."""
    return "; ".join(f"{row.candidate.label}: {row.trouble}" for row in rows)


def tried(row: Row) -> Tried:
    """What is told of a row."""
    nll = {steps: float(each.mean()) for steps, each in row.nll.items()}
    return Tried(row.candidate.label, row.candidate.virial, row.why_not, nll)
