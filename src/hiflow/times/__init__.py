"""Time transforms: an infinite relaxation in the unit interval."""

from hiflow.registry import Registry
from hiflow.times._base import AbstractTimeTransform as AbstractTimeTransform
from hiflow.times._transforms import CosineTime as CosineTime
from hiflow.times._transforms import LinearTime as LinearTime
from hiflow.times._transforms import LogTime as LogTime
from hiflow.times._transforms import PolynomialTime as PolynomialTime

registry = Registry(
    "times",
    AbstractTimeTransform,
    {
        "log": "hiflow.times:LogTime",
        "linear": "hiflow.times:LinearTime",
        "polynomial": "hiflow.times:PolynomialTime",
        "cosine": "hiflow.times:CosineTime",
    },
)
