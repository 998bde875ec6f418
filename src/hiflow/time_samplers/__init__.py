"""Time samplers: when the samples of a training batch are looked at."""

from hiflow.registry import Registry
from hiflow.time_samplers._base import AbstractTimeSampler as AbstractTimeSampler
from hiflow.time_samplers._samplers import Importance as Importance
from hiflow.time_samplers._samplers import Stratified as Stratified
from hiflow.time_samplers._samplers import Uniform as Uniform

registry = Registry(
    "time_samplers",
    AbstractTimeSampler,
    {
        "uniform": "hiflow.time_samplers:Uniform",
        "stratified": "hiflow.time_samplers:Stratified",
        "importance": "hiflow.time_samplers:Importance",
    },
)
