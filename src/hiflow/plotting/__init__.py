"""Figures, by matplotlib (the `plot` extra): of arms side by side, and of one flow's samples."""

try:
    import matplotlib.figure  # noqa: F401
except ImportError as error:
    raise ImportError("Figures need matplotlib: pip install 'hiflow-jax[plot]'.") from error

from hiflow.plotting._comparisons import COLOURS as COLOURS
from hiflow.plotting._comparisons import densities_in_the_plane as densities_in_the_plane
from hiflow.plotting._comparisons import error_against_nfe as error_against_nfe
from hiflow.plotting._comparisons import image_grids as image_grids
from hiflow.plotting._comparisons import learning_curves as learning_curves
from hiflow.plotting._comparisons import sample_histograms as sample_histograms
from hiflow.plotting._samples import histogram as histogram
from hiflow.plotting._samples import surface as surface
