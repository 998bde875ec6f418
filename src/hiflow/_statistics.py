"""Means and their errors: over independent values or chains, over seeds and points together."""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, ArrayLike, Float, Shaped

Values = Float[Array | np.ndarray, " n"]
Labels = Shaped[Array | np.ndarray, " n"]
# Of every seed, whose numbers of points may differ.
SeedValues = Float[Array | np.ndarray, " _"]
SeedLabels = Shaped[Array | np.ndarray, " _"]
# Of a normal variable within one standard deviation of its mean.
_CONFIDENCE = 0.6826894921370859


class Part(NamedTuple):
    """A part of a mean's variance, and with how many degrees of freedom it was estimated."""

    variance: float
    degrees: float


class Pooled(NamedTuple):
    """Values at points of a pool, such as a file, and which of its points or chains these are."""

    values: Float[Array | np.ndarray, " _"]
    origins: Shaped[Array | np.ndarray, " _"]


class Mean(NamedTuple):
    """A mean with the half-width of its 68.3 % confidence interval: what is printed after "±".

    The interval is Student's, so that it holds what it says with few seeds or few chains as well; with
    many degrees of freedom its half-width is the standard error.
    """

    value: float
    error: float


def spread_rows(n: int, most: int) -> np.ndarray:
    """Indices of at most so many of `n` rows, at even distances: of points in the order of a trajectory
    the first ones are all alike."""
    return np.linspace(0, n - 1, min(n, most)).astype(int)


def standard_error(values: ArrayLike, chains: Labels | None = None) -> float:
    """The standard error of the mean of independent values, or of values of independent `chains`;
    infinite for a single one.

    **Raises:** `ValueError` for values that aren't one for each sample, or labels that aren't theirs.

    **Example:**

    ```pycon
    >>> values = np.array([1.0, 1.1, 3.0, 2.9])
    >>> round(hf.metrics.standard_error(values), 2)
    0.55
    >>> two = np.array([0, 0, 1, 1])  # chains
    >>> round(hf.metrics.standard_error(values, two), 2)
    0.95
    ```
    """
    values = np.asarray(values)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iuf":
        raise ValueError(
            "standard_error: `values` must be numbers, one for each sample; got an array of "
            f"{values.dtype} of shape {values.shape}."
        )
    values, n = values.astype(np.float64), len(values)
    check_labels(chains, n, "standard_error: `chains`")
    if chains is None:
        return float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("inf")
    index = np.unique(np.asarray(chains), return_inverse=True)[1]
    number = int(index.max()) + 1
    if number < 2:
        return float("inf")
    sums = np.bincount(index, weights=values - values.mean())
    return float(np.sqrt(np.sum(sums**2) * number / (number - 1)) / n)


def check_labels(chains: object, number: int, what: str) -> None:
    """Raise `ValueError` unless there is a label for each of so many values, or none at all."""
    shape = (number,) if chains is None else np.shape(np.asarray(chains))
    if shape != (number,):
        raise ValueError(
            f"{what} must hold one label for each of {number:,} values, of shape ({number},), got shape "
            f"{shape}."
        )


def mean_of(values: Values, chains: Labels | None = None, also: Iterable[Part] = ()) -> Mean:
    """The mean of one seed's values.

    **Arguments:**

    - `chains`: which values belong together: those of one chain are correlated, chains are
      independent. By default every value is independent of the others.
    - `also`: further parts of the mean's variance, independent of the values.
    """
    return mean_over([values], [None], [chains], also)


def mean_over(
    seeds: Sequence[SeedValues],
    tests: Sequence[Hashable],
    chains: Sequence[SeedLabels | None] | None = None,
    also: Iterable[Part] = (),
    origins: Sequence[SeedLabels | None] | None = None,
    levels: Sequence[Pooled | None] | None = None,
) -> Mean:
    r"""The mean of several seeds' values, as an estimate for all seeds and all points.

    With $m_s$ the seeds' means its variance is $\operatorname{var}(m_s)/S + \bar c$. The first part
    holds whatever differs from seed to seed, the points too where every seed has its own. The second
    is the mean covariance of $m_s$ and $m_{s'}$ over pairs of seeds, which those that were scored on
    the same points, or on some of the same, have: its luck no number of seeds averages out (two-way
    analysis of variance; degrees of freedom by Satterthwaite, Biometrics Bulletin 2, 110, 1946). With
    one seed it is the variance over points alone.

    **Arguments:**

    - `seeds`: the values of each seed.
    - `tests`: what tells the seeds' points apart; equal where they are the same, in the same order.
    - `chains`, `also`: as for `mean_of`, the chains of each seed's points.
    - `origins`: where each seed takes its points from one pool, such as a file, which of the pool's
      points or chains they are: seeds of other points may still share some.
    - `levels`: of each such seed, what is in all of its values as a mean over other points of the pool.
    """
    number = len(seeds)
    chains = [None] * number if chains is None else chains
    origins = [None] * number if origins is None else origins
    levels = [None] * number if levels is None else levels
    values = [np.asarray(one, np.float64) for one in seeds]
    means = np.array([one.mean() for one in values])
    of_pool = [
        None if origin is None else [Pooled(own, origin), *([] if level is None else [level])]
        for own, origin, level in zip(values, origins, levels, strict=True)
    ]
    parts = [_shared(values, tests, chains, of_pool), *also]
    if number > 1:
        parts.append(Part(float(np.var(means, ddof=1)) / number, number - 1))
    return Mean(float(means.mean()), half_width(parts))


def half_width(parts: Iterable[Part]) -> float:
    """Of the 68.3 % interval of an estimate whose variance has these independent parts."""
    parts = [part for part in parts if part.variance > 0]
    variance = sum(part.variance for part in parts)
    if not parts or not np.isfinite(variance):
        return float(np.sqrt(variance))
    # Imported here because most sessions don't need it.
    from scipy.special import stdtrit

    degrees = variance**2 / sum(part.variance**2 / part.degrees for part in parts)
    quantile = stdtrit(max(degrees, 1), (1 + _CONFIDENCE) / 2)
    return float(np.sqrt(variance) * quantile)


def error_over_chains(
    sums: Float[np.ndarray, "chains *k"], shares: Float[np.ndarray, " chains"]
) -> np.ndarray:
    """The error of sums over chains of deviations from a mean in which the chains have these shares;
    with few of them by Student's distribution."""
    least = 1 - shares.max()
    if least < 1e-12:  # One chain decides.
        return np.full(sums.shape[1:], np.inf)
    student = half_width([Part(1.0, 1 / float(np.sum(shares**2)) - 1)])
    variance = np.sum(sums.T**2 / (1 - shares), axis=-1)
    return np.asarray(student * np.sqrt(variance).T)


def part_of(values: Values, chains: Labels | None = None) -> Part:
    """The variance of the mean of values that are correlated within their chains."""
    return Part(*_covariance(values, values, chains))


def _shared(
    values: list[np.ndarray],
    tests: Sequence[Hashable],
    chains: Sequence[SeedLabels | None],
    of_pool: Sequence[list[Pooled] | None],
) -> Part:
    """The mean covariance of the seeds' means; of one seed, its variance."""
    number, found = len(values), []
    pairs = [(i, j) for i in range(number) for j in range(number) if i < j or number == 1]
    for i, j in pairs:
        one, other = of_pool[i], of_pool[j]
        if tests[i] == tests[j]:
            found.append(_covariance(values[i], values[j], chains[i]))
        elif one is not None and other is not None:
            found.append(_overlap(one, other))
    if not found:
        return Part(0.0, 1)
    covariance = sum(each for each, _ in found) / len(pairs)
    return Part(max(covariance, 0.0), max(degrees for _, degrees in found))


def _overlap(one: list[Pooled], other: list[Pooled]) -> tuple[float, float]:
    """The covariance of two sums of means over points of one pool, and its degrees of freedom: of the
    points that both hold."""
    parts = [*one, *other]
    names, index = np.unique(
        np.concatenate([np.asarray(part.origins) for part in parts]), return_inverse=True
    )
    rows = np.split(index, np.cumsum([len(part.values) for part in parts])[:-1])
    sums, shares = np.zeros((2, 2, len(names)))
    for k, (row, part) in enumerate(zip(rows, parts, strict=True)):
        values, n, whose = np.asarray(part.values), len(row), int(k >= len(one))
        sums[whose] += np.bincount(row, values - values.mean(), len(names)) / n
        shares[whose] += np.bincount(row, minlength=len(names)) / n
    both = (shares > 0).all(axis=0)
    if (shares[:, both] > 1 - 1e-12).any():  # One chain is all that a mean is of.
        return float("inf"), 1.0
    if both.sum() < 2:
        return 0.0, 1.0
    # A mean of its own is taken from either, so each point's share of it is too.
    share = shares[:, both].mean(axis=0)
    covariance = np.sum(sums[0][both] * sums[1][both] / (1 - share))
    return float(covariance), float(both.sum() - 1)


def _covariance(one: Values, other: Values, chains: Labels | None) -> tuple[float, float]:
    """The covariance of two means over the same points, and its degrees of freedom."""
    n = len(one)
    index = (
        np.arange(n) if chains is None else np.unique(np.asarray(chains), return_inverse=True)[1]
    )
    share = np.bincount(index) / n
    # Chains of unequal length: the effective number is Kish's, and the long ones pull the mean along.
    independent = 1 / float(np.sum(share**2))
    if len(share) < 2:
        return float("inf"), 1.0
    sums = [np.bincount(index, each - np.mean(each)) / n for each in (one, other)]
    return float(np.sum(sums[0] * sums[1] / (1 - share))), independent - 1
