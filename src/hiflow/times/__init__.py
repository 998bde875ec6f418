"""Time transforms: an infinite relaxation in the unit interval."""

from hiflow.times._base import AbstractTimeTransform as AbstractTimeTransform
from hiflow.times._base import registry as registry
from hiflow.times._transforms import CosineTime as CosineTime
from hiflow.times._transforms import LinearTime as LinearTime
from hiflow.times._transforms import LogTime as LogTime
from hiflow.times._transforms import PolynomialTime as PolynomialTime
