"""Spectral maps: eigenvalues to positive numbers, as rates or as curvature."""

from hiflow.registry import Registry
from hiflow.spectral._base import AbstractSpectralMap as AbstractSpectralMap
from hiflow.spectral._pointwise import Absolute as Absolute
from hiflow.spectral._pointwise import Clamped as Clamped
from hiflow.spectral._pointwise import Identity as Identity
from hiflow.spectral._pointwise import Power as Power
from hiflow.spectral._pointwise import Saturating as Saturating
from hiflow.spectral._pointwise import Shifted as Shifted
from hiflow.spectral._wrappers import MeanRate as MeanRate
from hiflow.spectral._wrappers import Raised as Raised
from hiflow.spectral._wrappers import Shuffled as Shuffled
from hiflow.spectral._wrappers import TraceNormalised as TraceNormalised

registry = Registry(
    "spectral",
    AbstractSpectralMap,
    {
        "identity": "hiflow.spectral:Identity",
        "absolute": "hiflow.spectral:Absolute",
        "clamped": "hiflow.spectral:Clamped",
        "shifted": "hiflow.spectral:Shifted",
        "power": "hiflow.spectral:Power",
        "saturating": "hiflow.spectral:Saturating",
        "trace-normalised": "hiflow.spectral:TraceNormalised",
        "raised": "hiflow.spectral:Raised",
        "mean-rate": "hiflow.spectral:MeanRate",
        "shuffled": "hiflow.spectral:Shuffled",
    },
)
