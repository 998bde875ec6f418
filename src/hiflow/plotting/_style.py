"""How curves are told apart: by everybody, and in grey.

Colours are Okabe and Ito's; line styles and markers go with them.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from hiflow.energies import units_of

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7A7A7A")
BLUE, VERMILLION = COLOURS[:2]
_LINES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
_MARKERS = "osD^vPX*"


def style(k: int) -> dict[str, Any]:
    """Colour, line style and marker of the curve number `k`."""
    return {
        "color": COLOURS[k % len(COLOURS)],
        "linestyle": _LINES[k % len(_LINES)],
        "marker": _MARKERS[k % len(_MARKERS)],
        "markersize": 4,
        "linewidth": 1.4,
    }


def axes_of(ax: Axes | None, size: tuple[float, float] = (4.5, 3.6)) -> Axes:
    """These axes, or those of a new figure."""
    return Figure(figsize=size, layout="constrained").subplots() if ax is None else ax


def length_of(energy: object) -> str:
    """The unit of length of an energy's points."""
    units = units_of(energy)
    return "reduced units" if units is None else str(units.length)


def curvature_of(energy: object) -> str:
    """The unit of an energy's second derivatives."""
    length = length_of(energy)
    return "kT per reduced unit²" if length == "reduced units" else f"kT/{length}²"


def plain_log(ax: Axes) -> None:
    """A logarithmic axis upwards whose numbers are written out."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def label_plane(ax: Axes, energy: object, coordinates: Iterable[int] = (0, 1)) -> None:
    """Names and units of two coordinates, in one scale."""
    names = [f"$x_{{{k + 1}}}$ [{length_of(energy)}]" for k in coordinates]
    ax.set(xlabel=names[0], ylabel=names[1])
    ax.set_aspect("equal", adjustable="datalim")


def square(points: Float[Array, "n 2"] | np.ndarray, room: float = 1.25) -> float:
    """Half the side of a square about the origin that holds the points."""
    return room * float(np.abs(np.asarray(points)).max())
