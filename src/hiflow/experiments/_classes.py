r"""Flows that are told a class, without being told it: the mixture of the classes, and Bayes' rule."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from hiflow._disk import kept, read_arrays, write_arrays
from hiflow.data import Samples
from hiflow.flow import Flow

MOST = 100
"""With more classes the test points aren't scored under every one."""
_NAME = "classes.npz"


@dataclasses.dataclass(frozen=True)
class ClassScores:
    r"""The log densities of points under every class, and what follows of points whose class isn't told.

    **Arguments:**

    - `log_prob`: $\log p(x|c)$, a row for each point and a column for each class.
    - `shares`: $\pi_c$, the classes' shares of the training points.
    """

    log_prob: Float[np.ndarray, "n classes"]
    shares: Float[np.ndarray, " classes"]

    @property
    def joint(self) -> Float[np.ndarray, "n classes"]:
        r"""$\log \pi_c\,p(x|c)$."""
        return self.log_prob + np.log(self.shares)

    @property
    def mixture(self) -> Float[np.ndarray, " n"]:
        r"""$\log \sum_c \pi_c\,p(x|c)$, a density of points alone, as that of an unconditional flow."""
        return np.logaddexp.reduce(self.joint, axis=1)

    @property
    def found(self) -> Int[np.ndarray, " n"]:
        r"""The class of every point by Bayes' rule, $\operatorname{argmax}_c \pi_c\,p(x|c)$."""
        return np.argmax(self.joint, axis=1)


def scored_under_every_class(flow: Flow, test: Samples, shares: np.ndarray) -> ClassScores:
    """Of test points under all classes; a divergence that is estimated has the same probes for all of
    them, and those of the flow's NLL."""
    columns = [
        flow.log_prob(test.points, key=jax.random.key(0), condition=jnp.asarray(number))
        for number in range(len(shares))
    ]
    return ClassScores(np.stack(columns, axis=1).astype(np.float64), np.asarray(shares))


def kept_scores(place: Path, flow: Flow, test: Samples, shares: np.ndarray) -> ClassScores:
    """The same, from the arm's folder if they were computed before."""
    file = place / _NAME

    def make() -> None:
        found = scored_under_every_class(flow, test, shares)
        write_arrays(file, {"log_prob": found.log_prob, "shares": found.shares})

    def read() -> ClassScores:
        stored = read_arrays(file)
        if stored["log_prob"].shape != (len(test), len(shares)):
            raise ValueError("it is of other points or classes")
        return ClassScores(stored["log_prob"], stored["shares"])

    return kept(file, make, read)
