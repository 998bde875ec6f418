r"""Wasserstein distances of samples from a reference, $W_2 = (\min_\pi \mathrm{E}_\pi d^2)^{1/2}$.

Of energies it is computed from all values. Of points and torsions the best assignment of as many points
to as many takes cubic time, so it is that of subsamples, and larger than that of the laws by what two
sets of so many points differ: every distance comes with that of two parts of the reference.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from hiflow import _border
from hiflow._border import border
from hiflow._kinds import shown
from hiflow.groups import AbstractGroup
from hiflow.groups._periods import periods_of


class Distance(NamedTuple):
    """A distance from a reference.

    **Arguments:**

    - `value`: of the samples.
    - `floor`: of two disjoint subsamples of the reference; NaN if it has fewer than twice the `size`.
    - `size`: of the subsamples.

    **Example:**

    ```pycon
    >>> found = hf.metrics.wasserstein(points[:100], points[100:], key=key, size=50)
    >>> found.size, found.value < 3 * found.floor
    (50, True)
    ```
    """

    value: float
    floor: float
    size: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.floor:.3f} within the reference; {self.size} points each)"


def _numbers_or_none(value: Any, what: str) -> np.ndarray | None:
    """None of them NaN, at least one; energies may be infinite."""
    if value is None:
        return None
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        found = np.full(1, np.nan)
    if not found.size or np.isnan(found).any():
        raise ValueError(
            f"{what} must be numbers, at least one and none of them NaN; got {shown(value)}."
        )
    return found


@border(
    "wasserstein",
    x=_border.points,
    reference=_border.points,
    key=_border.key,
    weights=_numbers_or_none,
)
def wasserstein(
    x: Float[Array, "n *event"],
    reference: Float[Array, "m *other"],
    *,
    key: PRNGKeyArray,
    weights: ArrayLike | None = None,
    size: int = 2_000,
) -> Distance:
    r"""$W_2$ of points, with the Euclidean distance $d$ of events. Nothing is aligned: bring points of
    an energy with a symmetry to one frame first.

    **Arguments:**

    - `weights`: of the points, as [`Weighted.weights`][hiflow.metrics.Weighted]: the subsample is then
      drawn by them, with replacement.
    - `size`: the most points of a subsample.

    **Raises:** `ValueError` for points of another shape, or weights that are none of theirs.

    **Example:**

    ```pycon
    >>> found = hf.metrics.wasserstein(points[:100] + 1.0, points[100:], key=key, size=50)
    >>> found.value > found.floor  # further than halves of the reference from each other
    True
    ```
    """
    flat = [np.asarray(each, np.float64).reshape(len(each), -1) for each in (x, reference)]
    return _distance(_euclidean, flat[0], flat[1], key, weights, size)


def _angles(value: Any, what: str) -> Array:
    found = _border.points(value, what)
    if found.ndim != 2:
        raise ValueError(f"{what} must have shape (n, torsions), got {found.shape}.")
    return found


@border(
    "torus_wasserstein",
    angles=_angles,
    reference=_angles,
    key=_border.key,
    weights=_numbers_or_none,
)
def torus_wasserstein(
    angles: Float[Array, "n k"],
    reference: Float[Array, "m *other"],
    *,
    key: PRNGKeyArray,
    weights: ArrayLike | None = None,
    size: int = 2_000,
) -> Distance:
    r"""$W_2$ of k torsions in radians, on the torus: with differences $\delta_k$,
    $d^2 = \sum_k \min(|\delta_k|, 2\pi - |\delta_k|)^2$, as for Ramachandran angles in Tan et al.
    (ICML 2025).

    **Arguments:**

    - `weights`, `size`: as for [`wasserstein`][hiflow.metrics.wasserstein].

    **Example:**

    ```pycon
    >>> a = jnp.full((20, 1), jnp.pi - 0.1)
    >>> b = jnp.full((20, 1), -jnp.pi + 0.1)
    >>> round(hf.metrics.torus_wasserstein(a, b, key=key).value, 3)  # across the seam
    0.2
    ```
    """
    both = [np.asarray(each, np.float64) for each in (angles, reference)]
    return _distance(_toric, both[0], both[1], key, weights, size)


def _numbers(value: Any, what: str) -> np.ndarray:
    found = _numbers_or_none(value, what)
    if found is None:
        raise ValueError(f"{what} must be numbers; got None.")
    return found


@border("energy_wasserstein", energies=_numbers, reference=_numbers, weights=_numbers_or_none)
def energy_wasserstein(
    energies: ArrayLike,
    reference: ArrayLike,
    *,
    weights: ArrayLike | None = None,
) -> float:
    r"""$W_2$ of energies, $(\int_0^1 (F^{-1}(u) - G^{-1}(u))^2\,du)^{1/2}$, in their unit: of all
    values, with weights or without. Infinite if a sample that has weight has an infinite energy.

    **Example:**

    ```pycon
    >>> hf.metrics.energy_wasserstein(np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    1.0
    ```
    """
    a, b = np.ravel(energies), np.ravel(reference)
    w = np.full(len(a), 1 / len(a)) if weights is None else _weights(weights, len(a))
    a, w = a[w > 0], w[w > 0]
    order = np.argsort(a)
    a, b, levels = a[order], np.sort(b), np.cumsum(w[order]) / w.sum()
    others = np.arange(1, len(b) + 1) / len(b)
    if not np.isfinite(a[-1]):
        return float("inf")
    ends = np.union1d(levels, others)
    ends = ends[ends <= 1]
    widths = np.diff(ends, prepend=0)
    middle = ends - widths / 2
    at = [np.minimum(np.searchsorted(u, middle), len(u) - 1) for u in (levels, others)]
    return float(np.sqrt(np.sum(widths * (a[at[0]] - b[at[1]]) ** 2)))


def _distance(
    cost: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: np.ndarray,
    reference: np.ndarray,
    key: PRNGKeyArray,
    weights: ArrayLike | None,
    size: int,
) -> Distance:
    """That of subsamples, and of two of the reference."""
    if x.shape[1:] != reference.shape[1:]:
        raise ValueError(
            f"the samples have shape {x.shape[1:]} and `reference` {reference.shape[1:]}; give both the "
            "same coordinates."
        )
    size = _border.size(size, "`size`")
    size = min(size, len(x), len(reference))
    key_x, key_reference = jax.random.split(key)
    chosen = jax.random.choice(
        key_x,
        len(x),
        (size,),
        replace=weights is not None,
        p=None if weights is None else _weights(weights, len(x)),
    )
    shuffled = reference[np.asarray(jax.random.permutation(key_reference, len(reference)))]
    within = float("nan")
    if len(reference) >= 2 * size:
        within = _assigned(cost(shuffled[size : 2 * size], shuffled[:size]))
    return Distance(_assigned(cost(x[np.asarray(chosen)], shuffled[:size])), within, size)


def _weights(weights: ArrayLike, number: int) -> Float[np.ndarray, " n"]:
    """Of so many samples, with the sum 1."""
    w = np.asarray(weights, np.float64)
    if w.shape != (number,) or not np.isfinite(w).all() or w.min() < 0 or not w.sum() > 0:
        raise ValueError(
            f"`weights` must be {number} numbers of at least 0, not all of them 0; got "
            f"{w if w.size < 9 else f'shape {w.shape}'}."
        )
    return w / w.sum()


def _assigned(cost: Float[np.ndarray, "n n"]) -> float:
    # Imported here because most sessions don't need it.
    from scipy.optimize import linear_sum_assignment

    return float(np.sqrt(np.mean(cost[linear_sum_assignment(cost)])))


def _euclidean(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n d"]) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(x, y, "sqeuclidean")


def _toric(
    x: Float[np.ndarray, "n k"],
    y: Float[np.ndarray, "n k"],
    periods: Float[np.ndarray, " k"] | float = 2 * np.pi,
) -> np.ndarray:
    change = np.abs(x[:, None] - y[None]) % periods
    return np.sum(np.minimum(change, periods - change) ** 2, axis=-1)


def distance_in(
    group: AbstractGroup,
    x: Float[Array, "n *event"],
    reference: Float[Array, "m *event"],
    *,
    key: PRNGKeyArray,
    size: int,
) -> Distance:
    """As `wasserstein`, around the circle in every coordinate that has a period."""
    if (periods := periods_of(group, x.shape[1:])) is None:
        return wasserstein(x, reference, key=key, size=size)
    flat = [np.asarray(each, np.float64).reshape(len(each), -1) for each in (x, reference)]
    cost = partial(_toric, periods=np.ravel(periods))
    return _distance(cost, flat[0], flat[1], key, None, size)
