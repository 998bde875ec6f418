"""Figures, by matplotlib (the `plot` extra): of arms side by side, and of one flow's samples."""

try:
    import matplotlib.figure  # noqa: F401
except ImportError as error:
    raise ImportError("Figures need matplotlib: pip install 'hiflow-jax[plot]'.") from error

from hiflow.plotting._animation import animation as animation
from hiflow.plotting._comparisons import densities_in_the_plane as densities_in_the_plane
from hiflow.plotting._comparisons import error_against_nfe as error_against_nfe
from hiflow.plotting._comparisons import image_grids as image_grids
from hiflow.plotting._comparisons import learning_curves as learning_curves
from hiflow.plotting._comparisons import sample_histograms as sample_histograms
from hiflow.plotting._conditional import conditional_flow as conditional_flow
from hiflow.plotting._conditional import eigenspaces as eigenspaces
from hiflow.plotting._corner import corner as corner
from hiflow.plotting._fields import contours as contours
from hiflow.plotting._fields import trajectories as trajectories
from hiflow.plotting._fields import vector_field as vector_field
from hiflow.plotting._losses import losses as losses
from hiflow.plotting._paper import figure_1 as figure_1
from hiflow.plotting._paper import figure_2 as figure_2
from hiflow.plotting._samples import histogram as histogram
from hiflow.plotting._samples import surface as surface
from hiflow.plotting._spectra import mapped_spectrum as mapped_spectrum
from hiflow.plotting._spectra import spectrum as spectrum
from hiflow.plotting._style import COLOURS as COLOURS
