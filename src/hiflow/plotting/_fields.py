"""What a flow does in the plane: its velocity and its trajectories, over an energy's contours."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from matplotlib.axes import Axes

from hiflow.energies import AbstractEnergy
from hiflow.flow import Flow
from hiflow.plotting._style import BLUE, VERMILLION, axes_of, label_plane, length_of

_LEVELS = 4.0 ** np.arange(7)


def contours(
    energy: AbstractEnergy,
    *,
    half_width: float = 3.0,
    resolution: int = 160,
    ax: Axes | None = None,
) -> Axes:
    """Lines of equal energy in the plane, 1, 4, 16, … kT above the lowest shown; grey below the first.

    **Arguments:**

    - `energy`: of events of shape `(2,)`.
    - `half_width`: half the side of the square shown, about the origin.
    - `resolution`: points along a side.
    - `ax`: where to draw; by default a figure of its own.

    **Raises:** `ValueError` for an energy of other events.

    **Example:**

    ```pycon
    >>> ax = hf.plotting.contours(ring, half_width=2.5)
    >>> scatter = ax.plot(*np.asarray(points[:50]).T, ".")  # anything else on top
    ```
    """
    _check_plane(energy.event_shape, "contours: `energy`")
    ax = axes_of(ax, (4.4, 4.2))
    axis = np.linspace(-half_width, half_width, resolution)
    grid = jnp.asarray(np.stack(np.meshgrid(axis, axis), axis=-1))
    values = np.asarray(jax.vmap(jax.vmap(energy))(grid))
    levels = values.min() + _LEVELS
    ax.contourf(axis, axis, values, levels=[values.min(), levels[0]], colors=["0.92"], zorder=0)
    ax.contour(axis, axis, values, levels=levels, colors="0.75", linewidths=0.7, zorder=0)
    label_plane(ax, energy)
    return ax


def vector_field(
    flow: Flow,
    t: float,
    *,
    energy: AbstractEnergy | None = None,
    half_width: float = 3.0,
    arrows: int = 17,
    ax: Axes | None = None,
) -> Axes:
    """The velocity at time `t` as arrows in the plane, in the data's units; their colour is its size.

    **Arguments:**

    - `flow`: of events of shape `(2,)`.
    - `t`: in $[0, 1]$.
    - `energy`: whose contours to draw below.
    - `half_width`: half the side of the square shown, about the origin.
    - `arrows`: along a side.
    - `ax`: where to draw; by default a figure of its own.

    **Raises:** `ValueError` for a flow of other events.

    **Example:**

    ```pycon
    >>> ax = hf.plotting.vector_field(flow, 0.5, energy=ring)
    >>> _ = ax.set_title("t = 0.5")
    ```
    """
    _check_plane(flow.prior.event_shape, "vector_field: `flow`")
    ax = axes_of(ax, (5.2, 4.2))
    if energy is not None:
        contours(energy, half_width=half_width, ax=ax)
    axis = np.linspace(-half_width, half_width, arrows)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    u = np.asarray(flow.velocity(t, jnp.asarray(grid, jnp.result_type(float))))
    speed = np.linalg.norm(u, axis=1)
    drawn = ax.quiver(*grid.T, *u.T, speed, cmap="viridis", angles="xy", width=0.005, pivot="mid")
    figure: Any = ax.figure
    figure.colorbar(
        drawn, ax=ax, label=f"speed [{length_of(energy)} per unit of time]", shrink=0.85
    )
    label_plane(ax, energy)
    ax.set_title(f"$t$ = {float(t):.2f}", fontsize=10)
    return ax


def trajectories(
    flow: Flow,
    *,
    key: PRNGKeyArray,
    size: int = 60,
    times: Sequence[float] | Float[Array, " times"] | None = None,
    energy: AbstractEnergy | None = None,
    coordinates: tuple[int, int] = (0, 1),
    half_width: float = 3.0,
    ax: Axes | None = None,
) -> Axes:
    """Samples on their way: open circles at the first time, dots at the last.

    **Arguments:**

    - `size`: how many.
    - `times`: in $[0, 1]$, by default 41 from 0 to 1.
    - `energy`: of the plane, whose contours to draw below.
    - `coordinates`: which two of the event's to show.
    - `half_width`: half the side of the square in which the contours are drawn.
    - `ax`: where to draw; by default a figure of its own.

    **Raises:** `ValueError` for coordinates that events don't have.

    **Example:**

    ```pycon
    >>> ax = hf.plotting.trajectories(flow, key=key, size=10, energy=ring)
    >>> _ = ax.set_title("ten samples")
    ```
    """
    dim = int(np.prod(flow.prior.event_shape))
    if len(coordinates) != 2 or not all(0 <= k < dim for k in coordinates):
        raise ValueError(
            f"trajectories: `coordinates` must be two of 0 to {dim - 1}, got {coordinates}."
        )
    ax = axes_of(ax, (4.4, 4.2))
    if energy is not None:
        contours(energy, half_width=half_width, ax=ax)
    x = flow.trajectory(key, size, jnp.linspace(0, 1, 41) if times is None else times)
    x = np.asarray(x).reshape(*x.shape[:2], -1)[..., list(coordinates)]
    draw_ways(ax, x)
    label_plane(ax, energy, coordinates)
    ax.legend(fontsize=8, loc="upper right", framealpha=0.9)
    return ax


def draw_ways(ax: Axes, x: np.ndarray) -> None:
    """Ways in the plane, `(n, times, 2)`, with their starts and ends."""
    for way in x:
        ax.plot(*way.T, color=BLUE, linewidth=0.8, alpha=0.55, zorder=1)
    ax.plot(
        *x[:, 0].T, "o", color="white", markeredgecolor=BLUE, markersize=4, label="start", zorder=2
    )
    ax.plot(*x[:, -1].T, "o", color=VERMILLION, markersize=3.5, label="end", zorder=3)


def _check_plane(event_shape: tuple[int, ...], what: str) -> None:
    if event_shape != (2,):
        raise ValueError(f"{what} must have events of shape (2,) to be drawn, got {event_shape}.")
