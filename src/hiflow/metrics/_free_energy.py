r"""Free energies from weighted samples: of states, of temperatures, and as surfaces over observables.

Errors are of first order in the weights' deviations (the delta method), over chains where there are any:
they mean something only where the weights can be trusted.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, ArrayLike

from hiflow import _border
from hiflow._border import border
from hiflow._kinds import shown
from hiflow._statistics import error_over_chains
from hiflow.energies import Units
from hiflow.metrics._units import FreeEnergy
from hiflow.metrics._weighted import Weighted

State = ArrayLike | Callable[[Array], Array]
_WEIGHTED = _border.having(
    Weighted, "weighted samples, as hiflow.metrics.importance_sample gives them"
)


@border("free_energy_between", weighted=_WEIGHTED)
def free_energy_between(weighted: Weighted, a: State, b: State) -> FreeEnergy:
    r"""$F_b - F_a = -\log(p_b/p_a)$ of two states, with $p$ the weighted share of samples in one.

    **Arguments:**

    - `a`, `b`: whether a sample is in the state, `(n,)` truth values, or a function of one event.

    **Raises:** `ValueError` for other values, or a state without samples.

    **Example:**

    ```pycon
    >>> reference = hf.metrics.equally_weighted(points, ring)
    >>> left, right = (lambda x: x[0] < 0), (lambda x: x[0] > 0)
    >>> F = hf.metrics.free_energy_between(reference, left, right)
    >>> abs(F.value) < 1.0 and F.error < 0.5  # as likely, but for sampling noise
    True
    ```
    """
    inside = [_inside(weighted, state, name) for state, name in ((a, "a"), (b, "b"))]
    w = weighted.weights
    p_a, p_b = (float(w @ each) for each in inside)
    error = weighted._error(w * (inside[1] / p_b - inside[0] / p_a))
    return FreeEnergy(float(-np.log(p_b / p_a)), error, weighted.units)


@border("free_energy_of_heating", weighted=_WEIGHTED, ratio=_border.positive)
def free_energy_of_heating(weighted: Weighted, ratio: float) -> FreeEnergy:
    r"""$F(T') - F(T)$ with $T' = $ `ratio` $\cdot\, T$, in kT at $T$: of the configurations alone, whose
    $Z = \int e^{-V}\,dx$ is in the coordinates' unit of length. It needs weights that tell $Z$, as a
    flow's.

    **Raises:** `ValueError` for a `ratio` that isn't positive, or samples of the energy itself.

    **Example:**

    ```pycon
    >>> weighted = hf.metrics.importance_sample(flow, ring, key=key, size=500)
    >>> F, error = hf.metrics.free_energy_of_heating(weighted, ratio=1.1)
    >>> bool(F < 0)  # wider, hence more of it
    True
    ```
    """
    if not weighted.log_weights.any():
        raise ValueError(
            "free_energy_of_heating: samples of the energy itself don't tell its Z; give weighted "
            "samples of a flow."
        )
    hot = weighted.at_temperature(ratio)
    value = ratio * hot.free_energy[0] - weighted.free_energy[0]
    # From one set of samples: the errors of the two largely cancel.
    error = weighted._error_of_means(ratio * hot.weights - weighted.weights)
    return FreeEnergy(value, error, weighted.units)


def _edges(value: Any, what: str) -> list[np.ndarray]:
    try:
        return [np.asarray(each, np.float64) for each in value]
    except (TypeError, ValueError):
        raise ValueError(
            f"{what} must be a list of arrays of numbers, one for each observable; got {shown(value)}."
        ) from None


@dataclasses.dataclass(frozen=True)
class Surface:
    r"""The free energy $F = -\log p$ over one or two observables, in kT, its minimum at 0.

    **Arguments:**

    - `edges`: of the bins, one array per observable.
    - `free_energy`: of every bin, `(bins,)` or `(bins, bins)`; infinite where no sample is.
    - `error`: of $-\log p$ in every bin.
    - `units`: what one kT is.

    **Example:**

    ```pycon
    >>> reference = hf.metrics.equally_weighted(points, ring)
    >>> edges = np.linspace(-2.3, 2.3, 9)
    >>> found = hf.metrics.free_energy_surface(reference, lambda x: x[0], [edges])
    >>> middle = (found.edges[0][:-1] + found.edges[0][1:]) / 2
    >>> middle.shape == found.free_energy.shape == found.error.shape
    True
    ```
    """

    edges: tuple[np.ndarray, ...]
    free_energy: np.ndarray
    error: np.ndarray
    units: Units | None = None

    def __repr__(self) -> str:
        """In a line: its bins, and how far up it reaches."""
        known = self.free_energy[np.isfinite(self.free_energy)]
        bins = " × ".join(map(str, self.free_energy.shape))
        return f"Surface({bins} bins, {len(known)} of them known, up to {known.max():.3g} kT)"


@border("free_energy_surface", weighted=_WEIGHTED, edges=_edges)
def free_energy_surface(
    weighted: Weighted,
    observable: ArrayLike | Callable[[Array], Array],
    edges: Sequence[ArrayLike],
) -> Surface:
    """The free energy over one or two observables.

    **Arguments:**

    - `observable`: its values, `(n,)` or `(n, k)`, or a function of one event.
    - `edges`: the edges of the bins, one array for each of the k.

    **Raises:** `ValueError` if the observables are not as many as the edges, or no sample is in a bin.

    **Example:**

    ```pycon
    >>> reference = hf.metrics.equally_weighted(points, ring)
    >>> edges = np.linspace(-2.3, 2.3, 9)
    >>> surface = hf.metrics.free_energy_surface(reference, lambda x: x[0], [edges])
    >>> surface.free_energy.shape, float(surface.free_energy.min())
    ((8,), 0.0)
    ```
    """
    values = weighted.values_of(observable).reshape(len(weighted.energies), -1)
    grid = tuple(np.asarray(each, np.float64) for each in edges)
    if values.shape[1] != len(grid):
        raise ValueError(
            f"free_energy_surface: {values.shape[1]} observables and {len(grid)} arrays of `edges`; "
            "give one for each."
        )
    for each in grid:
        if each.ndim != 1 or len(each) < 2 or not (np.diff(each) > 0).all():
            raise ValueError(
                "free_energy_surface: `edges` of every observable must be two or more numbers, each "
                f"above the one before; got {each}."
            )
    shape = tuple(len(each) - 1 for each in grid)
    place = _bins(values, grid, shape)
    number = int(np.prod(shape))
    p = np.bincount(place, weighted.weights, number + 1)[:number]
    if not p.sum() > 0:
        raise ValueError(
            "free_energy_surface: no sample is in any of the bins; give wider `edges`."
        )
    volume = np.ones(())
    for each in grid:
        volume = np.multiply.outer(volume, np.diff(each))
    error = _shares_error(weighted, place, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        free = -np.log(p / volume.ravel())
        error = np.where(p > 0, error / p, np.inf)
    return Surface(grid, (free - free.min()).reshape(shape), error.reshape(shape), weighted.units)


@border("ramachandran", weighted=_WEIGHTED, bins=_border.size)
def ramachandran(
    weighted: Weighted, torsions: ArrayLike | Callable[[Array], Array], bins: int = 36
) -> Surface:
    r"""The free energy over two torsions, $\phi$ and $\psi$, in $[-\pi, \pi]$.

    **Arguments:**

    - `torsions`: `(n, 2)` in radians, or a function of one event, as
      `lambda x: hf.coordinates.torsions(x, [phi, psi])`.
    - `bins`: for each of the two.

    **Example:**

    ```pycon
    >>> chain = hf.energies.BeadChain(beads=5)
    >>> x = hf.testing.relaxed_points(chain, key, 30)
    >>> quads = [(0, 1, 2, 3), (1, 2, 3, 4)]
    >>> reference = hf.metrics.equally_weighted(x, chain)
    >>> surface = hf.metrics.ramachandran(
    ...     reference, lambda x: hf.coordinates.torsions(x, quads), bins=6
    ... )
    >>> surface.free_energy.shape
    (6, 6)
    ```
    """
    angles = weighted.values_of(torsions).astype(np.float64)
    edges = np.linspace(-np.pi, np.pi, bins + 1)
    return free_energy_surface(weighted, (angles + np.pi) % (2 * np.pi) - np.pi, [edges, edges])


def _inside(weighted: Weighted, state: State, name: str) -> np.ndarray:
    inside = weighted.values_of(state)
    if inside.dtype != bool or inside.ndim != 1:
        raise ValueError(
            f"free_energy_between: `{name}` must say of every sample whether it is in the state, as "
            f"`phi < 0` does; got {inside.dtype} of shape {inside.shape}."
        )
    if not weighted.weights @ inside > 0:
        raise ValueError(f"free_energy_between: no sample is in the state `{name}`.")
    return inside.astype(np.float64)


def _bins(values: np.ndarray, grid: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> np.ndarray:
    """The flat index of every sample's bin; one more than there are for samples outside."""
    # The last edge belongs to the last bin, as in NumPy's histograms.
    index = [
        np.searchsorted(edges, column, side="right") - 1 - (column == edges[-1])
        for edges, column in zip(grid, values.T, strict=True)
    ]
    inside = np.all([(i >= 0) & (i < n) for i, n in zip(index, shape, strict=True)], axis=0)
    flat = np.ravel_multi_index([np.where(inside, i, 0) for i in index], shape)
    return np.where(inside, flat, int(np.prod(shape)))


def _shares_error(weighted: Weighted, place: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The errors of the bins' weighted shares `p`: of deviations w (1[in the bin] - p)."""
    w, number = weighted.weights, len(p)
    if weighted.chains is None:
        squares = np.bincount(place, w**2, number + 1)[:number]
        return np.sqrt(squares * (1 - p) ** 2 + np.maximum(np.sum(w**2) - squares, 0) * p**2)
    index = np.unique(weighted.chains, return_inverse=True)[1]
    chains = int(index.max()) + 1
    each = np.bincount(index * (number + 1) + place, w, chains * (number + 1))
    each = each.reshape(chains, number + 1)
    shares = each.sum(axis=1)
    return error_over_chains(each[:, :number] - shares[:, None] * p, shares)
