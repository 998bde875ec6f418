"""A set of samples: points, the chains that they come from, and how they were made."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import _border
from hiflow._border import border
from hiflow._checks import native, refuse_masked
from hiflow._disk import write_arrays
from hiflow.data._conditions import CLASSES, CONDITION
from hiflow.data._report import SamplingReport
from hiflow.data._suspicions import SuspiciousDataWarning


class Samples:
    """Points with their origin; wherever an array of points is expected, this serves as one.

    **Arguments:**

    - `points`: `(n, *event)`; of other samples, what these have besides is taken where it is left out.
    - `chains`: `(n,)` integers, the Markov chain of each point; `None` if they are independent.
    - `report`: how a sampler fared, or `None` for points from elsewhere.
    - `origin`: where points of files are from, in a sentence: particles, units, what was done to them.
    - `condition`: of every point, for a flow of $x$ given $c$: classes from 0, `(n,)` whole numbers, or
      vectors of floats, `(n,)` or `(n, size)`. [`fit`][hiflow.fit] takes them with the points.
    - `classes`: the names of the classes, in the order of their numbers.

    **Raises:** `ValueError` if there are no points, or not one label or condition per point.

    **Example:**

    ```pycon
    >>> mine = hf.data.Samples(points, chains=[0] * 100 + [1] * 100)
    >>> train, test = mine.split(50, key)  # no chain is on both sides
    >>> mine.save("mine.npz")
    >>> hf.data.load("mine.npz").chains.shape
    (200,)
    ```
    """

    points: Float[Array, "n *event"]
    chains: np.ndarray | None
    report: SamplingReport | None
    origin: str | None
    condition: np.ndarray | None
    classes: tuple[str, ...] | None

    def __init__(
        self,
        points: object,
        chains: object = None,
        report: SamplingReport | None = None,
        origin: str | None = None,
        condition: object = None,
        classes: Sequence[str] | None = None,
    ):
        if isinstance(points, Samples):
            chains = points.chains if chains is None else chains
            report, origin = report or points.report, origin or points.origin
            if condition is None:
                condition = points.condition
                classes = points.classes if classes is None else classes
        if isinstance(points, np.ndarray):
            refuse_masked(points, "Samples: `points`")
            points = native(np.asarray(points))
        self.points = jnp.asarray(points)
        self.chains = None if chains is None else np.asarray(chains)
        self.report, self.origin = report, origin
        if self.points.ndim < 1 or len(self.points) == 0:
            raise ValueError(
                f"Samples: `points` must have shape (n, *event), got {self.points.shape}."
            )
        if self.chains is not None and self.chains.shape != (len(self.points),):
            raise ValueError(
                f"Samples: `chains` must hold one label for each of {len(self.points)} points, got "
                f"shape {self.chains.shape}."
            )
        self.condition = None if condition is None else np.asarray(condition)
        self.classes = None if classes is None else tuple(classes)
        self._check_condition()

    def _check_condition(self) -> None:
        rows, names = self.condition, self.classes
        if rows is not None and (rows.ndim not in (1, 2) or len(rows) != len(self.points)):
            raise ValueError(
                f"Samples: `condition` must have one row for each of {len(self.points)} points, got "
                f"shape {rows.shape}."
            )
        if names is None:
            return
        whole = rows is not None and rows.ndim == 1 and rows.dtype.kind in "iu"
        if rows is None or not whole or not 0 <= rows.min() <= rows.max() < len(names):
            raise ValueError(
                f"Samples: `classes` names {len(names)} classes, of which `condition` must hold the "
                "numbers, from 0."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, *event)`."""
        return self.points.shape

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one point."""
        return self.points.shape[1:]

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: object) -> Any:
        """The selected `Samples`, by slice, mask or index array; the point itself by an integer."""
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"Samples: index {index} is out of range for {len(self)} points.")
            return self.points[index]
        index = index if isinstance(index, slice) else np.asarray(index)
        chains = None if self.chains is None else self.chains[index]
        told = None if self.condition is None else self.condition[index]
        points = self.points[index]
        return Samples(points, chains, self.report, self.origin, told, self.classes)

    def class_counts(self) -> list[int]:
        """How many points there are of every class.

        **Raises:** `ValueError` for samples without classes.
        """
        if self.condition is None or self.classes is None:
            raise ValueError("Samples.class_counts: the samples have no classes.")
        return np.bincount(self.condition, minlength=len(self.classes)).tolist()

    def moved(self, points: object) -> "Samples":
        """The same samples at other `points`, one for each."""
        return Samples(points, self.chains, self.report, self.origin, self.condition, self.classes)

    def untold(self) -> "Samples":
        """The same without conditions."""
        return Samples(self.points, self.chains, self.report, self.origin)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        array = np.asarray(self.points, dtype=dtype)
        return array.copy() if copy else array

    def __jax_array__(self) -> Array:
        return self.points

    def __repr__(self) -> str:
        return f"Samples({len(self)} points of shape {self.event_shape})"

    @border("Samples.split", key=_border.key)
    def split(self, n_test: int, key: PRNGKeyArray) -> tuple["Samples", "Samples"]:
        """Training and test samples, in random order. Whole chains go to either side, so that the test
        samples are independent of the training samples. They are of one chain in ten at the least, since
        errors are over chains: what these have beyond `n_test` is left out of both.

        **Arguments:**

        - `n_test`: number of test samples, at least 1 and below `len(self)`.
        - `key`: a PRNG key.

        **Raises:** `ValueError` for another number, or one that takes samples of every chain. Warns by
        a [`SuspiciousDataWarning`][hiflow.data.SuspiciousDataWarning] if there is one chain alone.
        """
        if not isinstance(n_test, int | np.integer) or not 0 < n_test < len(self):
            raise ValueError(
                f"Samples.split: `n_test` must be whole, between 1 and {len(self) - 1}; got {n_test!r}."
            )
        order = np.asarray(jax.random.permutation(key, len(self)))
        side = order
        if self.chains is not None:
            names, index, counts = np.unique(self.chains, return_inverse=True, return_counts=True)
            rank = np.asarray(jax.random.permutation(key, len(names)))
            held = max(_enough(counts[np.argsort(rank)], n_test), math.ceil(len(names) / 10))
            if len(names) == 1:
                warnings.warn(
                    "Samples.split: all samples are of one chain, so test samples are correlated with "
                    "training samples. Take the test samples from another chain.",
                    SuspiciousDataWarning,
                    stacklevel=2,
                )
            elif held == len(names):
                raise ValueError(
                    f"Samples.split: `n_test` = {n_test} takes samples of all {len(names)} chains, and "
                    "leaves none to train on that the test samples are independent of. Lower it, or "
                    "give more chains."
                )
            else:
                out = rank[index][order] < held
                order, side = np.concatenate([order[out][:n_test], order[~out]]), order[out]
        # The first few of a side come from as many chains as they can, for whoever trains on a slice.
        held_out = np.isin(order, side[:n_test])
        return self[order[~held_out]], self[order[held_out]]

    def save(self, path: str | Path) -> None:
        """Write points, chains and conditions, classes by their names and with the names of all, to
        `path`, an `.npz` file, for [`load`][hiflow.data.load].

        **Raises:** `ValueError` for another suffix.
        """
        if Path(path).suffix != ".npz":
            raise ValueError(f"Samples.save: `path` must end in .npz, got {str(path)!r}.")
        arrays: dict[str, Any] = {"points": np.asarray(self.points)}
        if self.chains is not None:
            arrays["chains"] = self.chains
        if self.condition is not None:
            arrays[CONDITION] = self.condition
        if self.condition is not None and self.classes is not None:
            arrays[CLASSES] = np.asarray(self.classes)
            arrays[CONDITION] = arrays[CLASSES][self.condition]
        write_arrays(path, arrays)


def _enough(counts: np.ndarray, wanted: int) -> int:
    """How many chains of these lengths, from the first on, hold so many samples."""
    return int(np.searchsorted(np.cumsum(counts), wanted)) + 1
