"""Time samplers: when the samples of a training batch are looked at."""

from hiflow.time_samplers._base import AbstractTimeSampler as AbstractTimeSampler
from hiflow.time_samplers._base import SupportsObjective as SupportsObjective
from hiflow.time_samplers._base import loss_of as loss_of
from hiflow.time_samplers._base import registry as registry
from hiflow.time_samplers._late import LateTimes as LateTimes
from hiflow.time_samplers._late import LikelihoodTimes as LikelihoodTimes
from hiflow.time_samplers._samplers import Importance as Importance
from hiflow.time_samplers._samplers import Stratified as Stratified
from hiflow.time_samplers._samplers import Uniform as Uniform
