"""Paths: per data point, a flow from the prior to it."""

from hiflow.paths._anchor_store import AnchorStore as AnchorStore
from hiflow.paths._anchor_store import store_anchors as store_anchors
from hiflow.paths._anchors import ANCHOR_DTYPES as ANCHOR_DTYPES
from hiflow.paths._anchors import end_law_samples as end_law_samples
from hiflow.paths._anchors import make_anchors as make_anchors
from hiflow.paths._at_minimum import AtMinimum as AtMinimum
from hiflow.paths._base import AbstractGaussianPath as AbstractGaussianPath
from hiflow.paths._base import AbstractPath as AbstractPath
from hiflow.paths._base import SpectralAnchor as SpectralAnchor
from hiflow.paths._end_laws import AbstractEndLaw as AbstractEndLaw
from hiflow.paths._end_laws import Laplace as Laplace
from hiflow.paths._end_laws import Point as Point
from hiflow.paths._end_laws import Relaxation as Relaxation
from hiflow.paths._end_laws import end_laws as end_laws
from hiflow.paths._isotropic import AbstractIsotropicPath as AbstractIsotropicPath
from hiflow.paths._isotropic import Cosine as Cosine
from hiflow.paths._isotropic import OptimalTransport as OptimalTransport
from hiflow.paths._isotropic import Stable as Stable
from hiflow.paths._isotropic import VarianceExploding as VarianceExploding
from hiflow.paths._isotropic import VariancePreserving as VariancePreserving
from hiflow.paths._named import Langevin as Langevin
from hiflow.paths._named import Linearised as Linearised
from hiflow.paths._named import Relaxed as Relaxed
from hiflow.paths._noise import ChosenNoise as ChosenNoise
from hiflow.paths._noise import SupportsNoise as SupportsNoise
from hiflow.paths._noise import choose_noise as choose_noise
from hiflow.paths._spectral import AbstractSpectralPath as AbstractSpectralPath
from hiflow.paths._spectral import Spectral as Spectral
from hiflow.registry import Registry

registry = Registry(
    "paths",
    AbstractPath,
    {
        "linearised": "hiflow.paths:Linearised",
        "langevin": "hiflow.paths:Langevin",
        "relaxed": "hiflow.paths:Relaxed",
        "spectral": "hiflow.paths:Spectral",
        "at-minimum": "hiflow.paths:AtMinimum",
        "optimal-transport": "hiflow.paths:OptimalTransport",
        "stable": "hiflow.paths:Stable",
        "variance-preserving": "hiflow.paths:VariancePreserving",
        "variance-exploding": "hiflow.paths:VarianceExploding",
        "cosine": "hiflow.paths:Cosine",
    },
)
