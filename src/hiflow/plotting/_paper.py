"""The two figures that show what the method does, as its paper's list of figures names them: conditional
flows, isotropic beside Hessian-informed, and the eigen-subspaces of an invariant energy's Hessian.

The paper's own pictures aren't public: the energy, the points and the settings here are ours.
"""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from hiflow.energies import Ring
from hiflow.paths import AbstractPath, Langevin, Linearised, OptimalTransport
from hiflow.plotting._conditional import conditional_flow, eigenpairs, eigenspaces
from hiflow.plotting._style import curvature_of, plain_log, style
from hiflow.spectral import Absolute, Saturating

_ANGLES = np.radians([20, 140, 260])


def figure_1(*, size: int = 14, seed: int = 0) -> Figure:
    """Conditional flows onto three points of a ring: straight and alike in all directions; at the rates
    of the Hessian there, first across the ring and then along it; and onto the Laplace end law, which
    spreads every point along the ring.

    **Arguments:**

    - `size`: how many points of the prior.
    - `seed`: of these.

    **Example:**

    ```pycon
    >>> figure = hf.plotting.figure_1(size=3)
    >>> figure.savefig("figure-1.png")
    ```
    """
    energy = Ring(radius=2.0, width=0.25)
    x0 = jax.random.normal(jax.random.key(seed), (size, 2))
    x1 = jnp.asarray(2.0 * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1))
    rates, curvature = Saturating(kappa=4.0, stiffness=4.0), Absolute(shift=4.0)
    panels: dict[str, AbstractPath] = {
        "isotropic (OT-FM)": OptimalTransport(),
        "Hessian-informed: rates": Linearised(energy, rates=rates),
        "Hessian-informed: end law": Langevin(energy, curvature=curvature),
    }
    figure = Figure(figsize=(3.3 * len(panels), 4.2), layout="constrained")
    for ax, (title, path) in zip(
        figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True
    ):
        conditional_flow(path, x1, x0, energy=energy, half_width=3.2, ax=ax)
        ax.set_title(title, fontsize=10)
        ax.label_outer()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def figure_2(*, points: int = 12) -> Figure:
    """The Hessian of a ring's energy, which turns of the plane leave as it is: its eigenvectors, one
    across the ring and one along it, turn with the points (left), and its eigenvalues stay (right).

    **Arguments:**

    - `points`: how many, evenly around the ring, a little outside of it, where both curve.

    **Example:**

    ```pycon
    >>> figure = hf.plotting.figure_2(points=6)
    >>> figure.savefig("figure-2.png")
    ```
    """
    energy, radius = Ring(radius=2.0, width=0.25), 2.15
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    x = jnp.asarray(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    figure = Figure(figsize=(8.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    eigenspaces(energy, x, half_width=3.2, ax=left)
    left.set_title("eigenvectors turn with the point", fontsize=10)
    values = np.sort(eigenpairs(energy, x, "dense")[0], axis=1)
    for rank, label in ((1, "stiff (radial)"), (0, "soft (tangential)")):
        look = {**style(1 if rank else 0), "linestyle": "-" if rank else (0, (3, 1.2))}
        right.plot(np.degrees(angles), values[:, rank], **look, label=label)
    plain_log(right)
    right.set(
        xlabel="angle around the ring [degrees]",
        ylabel=f"eigenvalue [{curvature_of(energy)}]",
        xticks=range(0, 361, 90),
    )
    right.set_title("eigenvalues stay as they are", fontsize=10)
    right.legend(frameon=False, fontsize=9, loc="center right")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure
