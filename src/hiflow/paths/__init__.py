"""Paths: per data point, a flow from the prior to it."""

from hiflow.paths._anchor_store import AnchorStore as AnchorStore
from hiflow.paths._anchor_store import store_anchors as store_anchors
from hiflow.paths._anchors import end_law_samples as end_law_samples
from hiflow.paths._anchors import make_anchors as make_anchors
from hiflow.paths._at_minimum import AtMinimum as AtMinimum
from hiflow.paths._base import AbstractGaussianPath as AbstractGaussianPath
from hiflow.paths._base import AbstractPath as AbstractPath
from hiflow.paths._base import SpectralAnchor as SpectralAnchor
from hiflow.paths._base import registry as registry
from hiflow.paths._isotropic import AbstractIsotropicPath as AbstractIsotropicPath
from hiflow.paths._isotropic import Cosine as Cosine
from hiflow.paths._isotropic import OptimalTransport as OptimalTransport
from hiflow.paths._isotropic import Stable as Stable
from hiflow.paths._isotropic import VarianceExploding as VarianceExploding
from hiflow.paths._isotropic import VariancePreserving as VariancePreserving
from hiflow.paths._spectral import AbstractSpectralPath as AbstractSpectralPath
from hiflow.paths._spectral import Langevin as Langevin
from hiflow.paths._spectral import Linearised as Linearised
from hiflow.paths._spectral import Relaxed as Relaxed
