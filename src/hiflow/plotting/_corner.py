"""Samples of several coordinates: every pair of them, by the `corner` package."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hiflow.metrics import Weighted
from hiflow.plotting._style import COLOURS

_MOST = 6
_LINES: tuple[Any, ...] = ("solid", "dashed", "dashdot", "dotted")


def corner(
    samples: Mapping[str, Float[Array, "n *event"] | Weighted],
    *,
    coordinates: Sequence[int] | None = None,
    labels: Sequence[str] | None = None,
    unit: str = "reduced units",
    bins: int = 30,
) -> np.ndarray:
    """Histograms of every coordinate, and of every pair of them the lines that hold 39 and 86 % of the
    samples (smoothed by 0.8 bins), sets of samples over each other.

    **Arguments:**

    - `samples`: label to points, or to weighted ones, which count by their weights.
    - `coordinates`: which of the event's to show, by default the first six.
    - `labels`: their names, with units; else numbers and `unit`.
    - `bins`: of every histogram.

    **Returns:** the axes, `(k, k)`; those above the diagonal are empty.

    **Raises:** `ValueError` for coordinates that events don't have, or names that aren't as many;
    `ImportError` without the `corner` package.

    **Example:**

    ```pycon
    >>> axes = hf.plotting.corner({"data": points, "flow": flow.sample(key, 200)})
    >>> axes.shape
    (2, 2)
    ```
    """
    try:
        import corner as package
    except ImportError as error:
        raise ImportError("corner: needs the package: pip install 'hiflow-jax[plot]'.") from error
    if not samples:
        raise ValueError("corner: `samples` is empty; give e.g. {'flow': x}.")
    points = {label: _points(each) for label, each in samples.items()}
    dim = min(x.shape[1] for x in points.values())
    chosen = list(range(min(dim, _MOST))) if coordinates is None else list(coordinates)
    if len(chosen) < 2 or not all(0 <= k < dim for k in chosen):
        raise ValueError(
            f"corner: `coordinates` must be two or more of 0 to {dim - 1}, got {coordinates}."
        )
    if labels is not None and len(labels) != len(chosen):
        raise ValueError(
            f"corner: `labels` must name {len(chosen)} coordinates, got {len(labels)} names."
        )
    names = labels or [f"$x_{{{k + 1}}}$ [{unit}]" for k in chosen]
    everything = np.concatenate([x[:, chosen] for x in points.values()])
    low, high = np.quantile(everything, [0.001, 0.999], axis=0)
    room = 0.05 * (high - low) + 1e-9
    figure = Figure(figsize=(1.9 * len(chosen), 1.9 * len(chosen)))
    figure.subplots(len(chosen), len(chosen))
    for k, (label, x) in enumerate(points.items()):
        each = samples[label]
        lines = _LINES[k % len(_LINES)]
        package.corner(
            x[:, chosen], bins=bins, range=list(zip(low - room, high + room, strict=True)),
            weights=_weights(each, len(x)), labels=names, color=COLOURS[k], fig=figure,
            levels=(0.393, 0.865), smooth=0.8, max_n_ticks=3, plot_datapoints=False,
            plot_density=False, no_fill_contours=True,
            hist_kwargs={"density": True, "linestyle": lines},
            contour_kwargs={"linestyles": lines, "linewidths": 1.2}, label_kwargs={"fontsize": 9},
        )  # fmt: skip
    handles = [
        Line2D([], [], color=COLOURS[k], linestyle=_LINES[k % len(_LINES)], label=label)
        for k, label in enumerate(points)
    ]
    figure.legend(handles=handles, loc="upper right", frameon=False, fontsize=9)
    axes = np.asarray(figure.axes, object).reshape(len(chosen), len(chosen))
    for ax in axes.diagonal():  # As high as the highest of all sets.
        tops = [float(patch.get_xy()[:, 1].max()) for patch in ax.patches]
        ax.set_ylim(0, 1.1 * max(tops))
    return axes


def _points(each: Any) -> np.ndarray:
    x = np.asarray(each.x if isinstance(each, Weighted) else each)
    return x.reshape(len(x), -1)


def _weights(each: Any, number: int) -> np.ndarray:
    return each.weights if isinstance(each, Weighted) else np.full(number, 1 / number)
