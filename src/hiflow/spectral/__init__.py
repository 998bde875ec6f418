"""Spectral maps: eigenvalues to positive numbers, as rates or as curvature."""

from hiflow.spectral._affine_power import AffinePower as AffinePower
from hiflow.spectral._base import AbstractSpectralMap as AbstractSpectralMap
from hiflow.spectral._base import registry as registry
from hiflow.spectral._pointwise import Absolute as Absolute
from hiflow.spectral._pointwise import Clamped as Clamped
from hiflow.spectral._pointwise import Constant as Constant
from hiflow.spectral._pointwise import Power as Power
from hiflow.spectral._pointwise import Saturating as Saturating
from hiflow.spectral._pointwise import Shifted as Shifted
from hiflow.spectral._wrappers import MeanRate as MeanRate
from hiflow.spectral._wrappers import Raised as Raised
from hiflow.spectral._wrappers import Shuffled as Shuffled
from hiflow.spectral._wrappers import TraceNormalised as TraceNormalised
