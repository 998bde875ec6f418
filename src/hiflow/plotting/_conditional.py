"""Conditional flows, and what they are made of: the eigen-subspaces of an energy's Hessian."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes

from hiflow.energies import AbstractEnergy
from hiflow.hessians import AbstractHessian
from hiflow.hessians import registry as _hessians
from hiflow.paths import AbstractPath
from hiflow.plotting._fields import contours, draw_ways
from hiflow.plotting._style import BLUE, VERMILLION, axes_of, label_plane, square


def conditional_flow(
    path: AbstractPath,
    x1: Float[Array, "anchors 2"],
    x0: Float[Array, "n 2"],
    *,
    energy: AbstractEnergy | None = None,
    times: int = 60,
    half_width: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How a path carries points of the prior onto data points, each onto all: $x_t(x_0 | x_1)$.

    **Arguments:**

    - `x1`: data points in the plane, drawn as stars.
    - `x0`: points of the prior.
    - `energy`: whose contours to draw below.
    - `times`: how many points along each way.
    - `half_width`: half the side of the square shown; by default fits the points.
    - `ax`: where to draw; by default a figure of its own.

    **Raises:** `ValueError` for points outside the plane.

    **Example:**

    ```pycon
    >>> path = hf.paths.Langevin(ring, curvature=hf.spectral.Absolute(1.0))
    >>> x0 = jax.random.normal(key, (9, 2))
    >>> ax = hf.plotting.conditional_flow(path, points[:3], x0, energy=ring)
    >>> _ = ax.set_title("conditional flows")
    ```
    """
    x1, x0 = jnp.asarray(x1), jnp.asarray(x0)
    for name, points in (("x1", x1), ("x0", x0)):
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(
                f"conditional_flow: `{name}` must have shape (n, 2), got {points.shape}."
            )
    ax = axes_of(ax, (4.4, 4.2))
    half_width = square(jnp.concatenate([x0, x1])) if half_width is None else half_width
    if energy is not None:
        contours(energy, half_width=half_width, ax=ax)
    t = jnp.linspace(0, 1, times)
    anchors = jax.jit(jax.vmap(lambda x: path.anchor(x)))(x1)

    def ways(anchor: Any) -> Array:
        return jax.vmap(lambda x: jax.vmap(lambda s: path.flow(x, anchor, s))(t))(x0)

    draw_ways(ax, np.asarray(jax.jit(jax.vmap(ways))(anchors)).reshape(-1, times, 2))
    ax.plot(*np.asarray(x1).T, "k*", markersize=10, label="data", zorder=4)
    label_plane(ax, energy)
    ax.set_aspect("equal", adjustable="box")
    ax.set(xlim=(-half_width, half_width), ylim=(-half_width, half_width))
    return ax


def eigenspaces(
    energy: AbstractEnergy,
    points: Float[Array, "n 2"],
    *,
    hessian: AbstractHessian | str = "dense",
    length: float = 0.35,
    half_width: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The eigenvectors of the energy's Hessian at points of the plane: the stiffer as a solid line, the
    softer as a dashed one. For an invariant energy they turn with the points.

    **Arguments:**

    - `hessian`: a provider, or its name.
    - `length`: of the lines, from the point to either end.
    - `half_width`: half the side of the square shown; by default fits the points.
    - `ax`: where to draw; by default a figure of its own.

    **Raises:** `ValueError` for an energy or points outside the plane.

    **Example:**

    ```pycon
    >>> ax = hf.plotting.eigenspaces(ring, points[:12])
    >>> ax.get_xlabel()
    '$x_{1}$ [reduced units]'
    ```
    """
    points = jnp.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"eigenspaces: `points` must have shape (n, 2), got {points.shape}.")
    ax = axes_of(ax, (4.4, 4.2))
    half_width = square(points, 1.35) if half_width is None else half_width
    contours(energy, half_width=half_width, ax=ax)
    values, vectors = eigenpairs(energy, points, hessian)
    order = np.argsort(values, axis=1)
    looks = (
        {"color": BLUE, "linestyle": (0, (3, 1.2)), "linewidth": 2, "label": "soft direction"},
        {"color": VERMILLION, "linestyle": "-", "linewidth": 2, "label": "stiff direction"},
    )
    for rank, look in enumerate(looks):
        for n, point in enumerate(np.asarray(points)):
            q = vectors[n, :, order[n, rank]]
            label = look["label"] if n == 0 else None
            ends = np.stack([point - length * q, point + length * q])
            ax.plot(*ends.T, **{**look, "label": label}, zorder=2 + rank)
    ax.plot(*np.asarray(points).T, "ko", markersize=4, zorder=5)
    label_plane(ax, energy)
    ax.set_aspect("equal", adjustable="box")
    ax.set(xlim=(-half_width, half_width), ylim=(-half_width, half_width))
    return ax


def eigenpairs(
    energy: AbstractEnergy, points: Float[Array, "n *event"], hessian: AbstractHessian | str
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues `(n, k)` and eigenvectors `(n, dim, k)` at every point.

    **Raises:** `ValueError` for a provider that gives no vectors.
    """
    provider = _hessians.make(hessian)
    found = jax.jit(jax.vmap(lambda x: provider.spectrum(energy, x)))(points)
    vectors = found.modes.vectors
    if vectors is None or vectors.ndim != 3 or found.modes.has_rest:
        raise ValueError(
            f"`hessian`: {type(provider).__name__} gives no eigenvectors of its own; take 'dense'."
        )
    return np.asarray(found.eigenvalues), np.asarray(vectors)
