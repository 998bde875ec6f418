"""The spectra of a data set's Hessians, and what spectral maps make of them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes

from hiflow.energies import AbstractEnergy
from hiflow.hessians import AbstractHessian
from hiflow.hessians import registry as _hessians
from hiflow.plotting._style import (
    BLUE,
    COLOURS,
    axes_of,
    curvature_of,
    plain_log,
    style,
)
from hiflow.spectral import AbstractSpectralMap
from hiflow.spectrum import Spectrum


def spectrum(
    energy: AbstractEnergy,
    points: Float[Array, "n *event"],
    *,
    hessian: AbstractHessian | str = "dense",
    ax: Axes | None = None,
) -> Axes:
    """The Hessian's eigenvalues over a data set, mode by mode from soft to stiff: the median and the
    range of 90 % of the points. Negative ones lie below the line at 0.

    **Arguments:**

    - `points`: of the data; a hundred are enough.
    - `hessian`: a provider, or its name.
    - `ax`: where to draw; by default a figure of its own.

    **Example:**

    ```pycon
    >>> ax = hf.plotting.spectrum(ring, points[:50])
    >>> ax.get_ylabel()
    'eigenvalue [kT per reduced unit²]'
    ```
    """
    ax = axes_of(ax)
    values = np.sort(np.asarray(_spectra(energy, points, hessian).eigenvalues), axis=1)
    mode = np.arange(1, values.shape[1] + 1)
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
    ax.fill_between(mode, low, high, color=BLUE, alpha=0.25, linewidth=0, label="90 % of points")
    ax.plot(mode, middle, **style(0), label="median")
    ax.axhline(0, color="0.5", linewidth=0.8)
    ax.set_yscale("symlog", linthresh=_threshold(values))
    ax.set(xlabel="mode, from soft to stiff", ylabel=f"eigenvalue [{curvature_of(energy)}]")
    _label_modes(ax, len(mode))
    ax.legend(frameon=False, fontsize=8)
    return ax


def mapped_spectrum(
    maps: Mapping[str, AbstractSpectralMap],
    energy: AbstractEnergy,
    points: Float[Array, "n *event"],
    *,
    hessian: AbstractHessian | str = "dense",
    ax: Axes | None = None,
) -> Axes:
    """What each map makes of the eigenvalues of a data set as rates: the median, mode by mode from soft
    to stiff, and for few maps the range of 90 % of the points.

    **Arguments:**

    - `maps`: label to spectral map.
    - `points`: of the data; a hundred are enough.
    - `hessian`: a provider, or its name.
    - `ax`: where to draw; by default a figure of its own.

    **Raises:** `ValueError` without maps.

    **Example:**

    ```pycon
    >>> maps = {"constant": hf.spectral.Constant(), "saturating": hf.spectral.Saturating()}
    >>> ax = hf.plotting.mapped_spectrum(maps, ring, points[:50])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['constant', 'saturating']
    ```
    """
    if not maps:
        raise ValueError("mapped_spectrum: `maps` is empty; give e.g. {'|λ| + 1': Absolute(1.0)}.")
    ax = axes_of(ax)
    found = _spectra(energy, points, hessian)
    order = np.argsort(np.asarray(found.eigenvalues), axis=1)
    mode = np.arange(1, order.shape[1] + 1)
    for k, (label, chosen) in enumerate(maps.items()):
        values = np.asarray(jax.vmap(lambda one, chosen=chosen: one.speeds(chosen))(found))
        values = np.take_along_axis(values, order, axis=1)
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
        ax.plot(mode, middle, **style(k), label=label)
        if len(maps) <= 4:
            ax.fill_between(mode, low, high, color=COLOURS[k], alpha=0.15, linewidth=0)
    ax.axhline(1, color="0.5", linewidth=0.8, zorder=0)
    plain_log(ax)
    ax.set(xlabel="mode, from soft to stiff", ylabel="rate [per unit of τ]")
    _label_modes(ax, len(mode))
    ax.legend(frameon=False, fontsize=8)
    return ax


def _spectra(energy: AbstractEnergy, points: Any, hessian: AbstractHessian | str) -> Spectrum:
    """The spectrum at every point."""
    points = jnp.asarray(points)
    if points.shape[1:] != energy.event_shape or len(points) == 0:
        raise ValueError(
            f"`points` must have shape (n, {', '.join(map(str, energy.event_shape))}), got "
            f"{points.shape}."
        )
    provider = _hessians.make(hessian)
    return jax.jit(jax.vmap(lambda x: provider.spectrum(energy, x)))(points)


def _threshold(values: np.ndarray) -> float:
    """Up to where an axis is linear: a power of ten among the smaller eigenvalues."""
    sizes = np.abs(values[values != 0])
    return 10.0 ** np.ceil(np.log10(np.quantile(sizes, 0.2))) if sizes.size else 1.0


def _label_modes(ax: Axes, modes: int) -> None:
    if modes <= 12:
        ax.set_xticks(range(1, modes + 1))
