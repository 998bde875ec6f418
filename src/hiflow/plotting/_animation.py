"""A flow's marginal as it moves from the prior to the data: a GIF, or an MP4 by ffmpeg."""

import importlib.util
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
from jaxtyping import PRNGKeyArray
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hiflow._disk import written
from hiflow.energies import AbstractEnergy
from hiflow.flow import Flow
from hiflow.plotting._fields import contours
from hiflow.plotting._style import BLUE, label_plane


def animation(
    flow: Flow,
    out: str | os.PathLike[str],
    *,
    key: PRNGKeyArray,
    size: int = 1000,
    frames: int = 40,
    seconds: float = 4.0,
    energy: AbstractEnergy | None = None,
    coordinates: tuple[int, int] = (0, 1),
    half_width: float = 3.0,
) -> Path:
    """Write samples on their way from the prior to the data, two coordinates of each, as a film.

    **Arguments:**

    - `out`: a `.gif`; or an `.mp4`, by the ffmpeg that is installed, or the one in the package
      imageio-ffmpeg.
    - `size`: how many samples.
    - `frames`, `seconds`: how many pictures over how long; the last one stays for a second.
    - `energy`: of the plane, whose contours to draw below.
    - `coordinates`: which two of the event's to show.
    - `half_width`: half the side of the square shown, about the origin.

    **Returns:** the file.

    **Raises:** `ValueError` for another suffix, an MP4 without ffmpeg, a folder that isn't there, fewer
    than two frames, or coordinates that an event doesn't have.

    **Example:**

    ```pycon
    >>> file = hf.plotting.animation(flow, "flow.gif", key=key, frames=3, size=50)
    >>> file.name
    'flow.gif'
    ```
    """
    out = Path(out)
    events = math.prod(flow.prior.event_shape)
    if not all(0 <= each < events for each in coordinates):
        raise ValueError(
            f"animation: `coordinates` must be two of 0 to {events - 1}; got {coordinates}."
        )
    writer = _writer(out, frames, seconds)
    x = np.asarray(flow.trajectory(key, size, jnp.linspace(0, 1, frames)))
    x = x.reshape(size, frames, -1)[..., list(coordinates)]
    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    if energy is not None:
        contours(energy, half_width=half_width, ax=ax)
    (dots,) = ax.plot([], [], ".", color=BLUE, markersize=3, alpha=0.6)
    label_plane(ax, energy, coordinates)
    ax.set_title("$t$ = 0.00", fontsize=10)
    ax.set_aspect("equal", adjustable="box")
    ax.set(xlim=(-half_width, half_width), ylim=(-half_width, half_width))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # Found once; a title of the same height leaves it as it is.
    with tempfile.TemporaryDirectory() as folder, mpl.rc_context(_ffmpeg()):
        film = Path(folder) / out.name
        with writer.saving(figure, str(film), 100):
            for frame in [*range(frames), *[frames - 1] * round(frames / seconds)]:
                dots.set_data(*x[:, frame].T)
                ax.set_title(f"$t$ = {frame / (frames - 1):.2f}", fontsize=10)
                writer.grab_frame()
        with written(out) as file:
            file.write(film.read_bytes())
    return out


def _writer(out: Path, frames: int, seconds: float) -> AbstractMovieWriter:
    if not out.absolute().parent.is_dir():
        raise ValueError(
            f"animation: `out`: no such folder: {out.absolute().parent}. Make it first."
        )
    if frames < 2 or not seconds > 0:
        raise ValueError(
            f"animation: `frames` must be at least 2 and `seconds` positive, got {frames} and {seconds}."
        )
    rate: Any = frames / seconds  # Matplotlib says whole numbers, and takes others.
    if out.suffix == ".gif":
        return PillowWriter(fps=rate)
    if out.suffix != ".mp4":
        raise ValueError(f"animation: `out` is {out}: its suffix must be .gif or .mp4.")
    with mpl.rc_context(_ffmpeg()):
        if FFMpegWriter.isAvailable():
            return FFMpegWriter(fps=rate)
    raise ValueError(
        f"animation: `out` is {out}, and ffmpeg isn't there: install it, or `pip install "
        "imageio-ffmpeg`, or write a .gif."
    )


def _ffmpeg() -> dict[Any, Any]:
    """Matplotlib's setting of where ffmpeg is, if that is in the package."""
    if FFMpegWriter.isAvailable() or importlib.util.find_spec("imageio_ffmpeg") is None:
        return {}
    import imageio_ffmpeg

    try:
        return {"animation.ffmpeg_path": imageio_ffmpeg.get_ffmpeg_exe()}
    except RuntimeError:  # Installed without its program.
        return {}
