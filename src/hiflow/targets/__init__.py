"""Targets: which velocity the network is asked for in training."""

from hiflow.targets._base import AbstractTarget as AbstractTarget
from hiflow.targets._base import Pair as Pair
from hiflow.targets._base import Parts as Parts
from hiflow.targets._base import SupportsPrediction as SupportsPrediction
from hiflow.targets._base import SupportsPreparation as SupportsPreparation
from hiflow.targets._base import registry as registry
from hiflow.targets._force_controlled import ForceControlled as ForceControlled
from hiflow.targets._forces import ForceAnchor as ForceAnchor
from hiflow.targets._forces import WithForces as WithForces
from hiflow.targets._mean_hessian import MeanHessian as MeanHessian
from hiflow.targets._plain import Plain as Plain
from hiflow.targets._posterior_averaged import PosteriorAveraged as PosteriorAveraged
