"""Figures of weighted samples, each in axes of its own: histograms and free-energy surfaces.

Colours are Okabe and Ito's, and viridis: told apart by everybody, and in grey.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, ArrayLike
from matplotlib.axes import Axes

from hiflow.metrics import Surface, Weighted
from hiflow.plotting._style import axes_of

_SAMPLED, _REWEIGHTED, _REFERENCE = "#E69F00", "#0072B2", "0.8"


def histogram(
    weighted: Weighted,
    observable: ArrayLike | Callable[[Array], Array],
    *,
    reference: Weighted | None = None,
    bins: int | np.ndarray = 60,
    label: str = "",
    ax: Axes | None = None,
) -> Axes:
    """An observable as sampled, as reweighted and, in grey, of the reference.

    **Arguments:**

    - `weighted`: samples of a flow.
    - `observable`: a function of one event, to be taken of both: an energy, or a torsion such as
      `lambda x: hf.coordinates.torsions(x, [phi])`. All values of one sample count. Without a
      `reference` it may be values, `(n,)` or `(n, k)`.
    - `reference`: samples of the energy itself, as
      [`equally_weighted`][hiflow.metrics.equally_weighted] makes them.
    - `bins`: their edges, or how many from the smallest to the largest value, the outermost 0.1 % of
      the samples' aside.
    - `label`: of the axis, with the unit.
    - `ax`: where to draw; by default a figure of its own.

    **Raises:** `ValueError` for values of samples beside a reference.

    **Example:**

    ```pycon
    >>> weighted = hf.metrics.importance_sample(flow, ring, key=key, size=500)
    >>> reference = hf.metrics.equally_weighted(points, ring)
    >>> ax = hf.plotting.histogram(weighted, ring, reference=reference, label="energy [kT]")
    >>> ax.get_xlabel()
    'energy [kT]'
    ```
    """
    if reference is not None and not isinstance(observable, Callable):
        raise ValueError(
            "histogram: `observable` must be a function of one event to be taken of the reference too."
        )
    ax = axes_of(ax)
    edges = _edges(weighted, reference, observable) if isinstance(bins, int) else np.asarray(bins)
    if isinstance(bins, int):
        edges = np.linspace(edges[0], edges[1], bins + 1)
    if reference is not None:
        _, truth = reference.histogram(observable, edges)
        ax.stairs(truth, edges, fill=True, color=_REFERENCE, label="reference")
    sampled, reweighted = weighted.histogram(observable, edges)
    ax.stairs(sampled, edges, color=_SAMPLED, linestyle="--", linewidth=1.3, label="as sampled")
    ax.stairs(reweighted, edges, color=_REWEIGHTED, linewidth=1.6, label="reweighted")
    ax.set(xlabel=label, ylabel="density")
    ax.legend(frameon=False, fontsize=8)
    return ax


def surface(
    found: Surface,
    *,
    error: bool = False,
    top: float | None = None,
    labels: tuple[str, str] = ("φ [rad]", "ψ [rad]"),
    ax: Axes | None = None,
) -> Axes:
    """A free energy over one or two observables: a line with its error, or a map.

    **Arguments:**

    - `found`: of [`ramachandran`][hiflow.metrics.ramachandran] or
      [`free_energy_surface`][hiflow.metrics.free_energy_surface].
    - `error`: whether a map shows the error instead.
    - `top`: where the colours of a map end, in kT.
    - `labels`: of the two axes; of a line the first.
    - `ax`: where to draw; by default a figure of its own.

    **Example:**

    ```pycon
    >>> reference = hf.metrics.equally_weighted(points, ring)
    >>> edges = 2 * [np.linspace(-2.3, 2.3, 9)]
    >>> found = hf.metrics.free_energy_surface(reference, lambda x: x, edges)
    >>> ax = hf.plotting.surface(found, labels=("x₁", "x₂"))
    ```
    """
    ax = axes_of(ax)
    if len(found.edges) == 1:
        middle = (found.edges[0][1:] + found.edges[0][:-1]) / 2
        seen = np.isfinite(found.free_energy)
        ax.errorbar(
            middle[seen],
            found.free_energy[seen],
            found.error[seen],
            color=_REWEIGHTED,
            capsize=2,
            marker="o",
            markersize=3,
        )
        ax.set(xlabel=labels[0], ylabel="free energy [kT]")
        return ax
    values = np.where(
        np.isfinite(found.free_energy), found.error if error else found.free_energy, np.nan
    )
    drawn = ax.pcolormesh(*found.edges, values.T, cmap="viridis", vmin=0, vmax=top)
    ax.set(xlabel=labels[0], ylabel=labels[1])
    figure: Any = ax.figure
    figure.colorbar(drawn, ax=ax, label="error [kT]" if error else "free energy [kT]")
    return ax


def _edges(
    weighted: Weighted,
    reference: Weighted | None,
    observable: ArrayLike | Callable[[Array], Array],
) -> np.ndarray:
    """The first and the last edge: what both sets reach, but for the outermost samples."""
    values = [
        each.values_of(observable).ravel() for each in (weighted, reference) if each is not None
    ]
    ends = [np.quantile(each[np.isfinite(each)], [0.001, 0.999]) for each in values]
    low, high = min(each[0] for each in ends), max(each[1] for each in ends)
    room = 1e-3 * (high - low) + 1e-12
    return np.array([low - room, high + room])
