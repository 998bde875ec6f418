"""Priors: the law that a flow starts from at t = 0."""

from hiflow.priors._base import AbstractPrior, SupportsCovariance, SupportsFitting, registry
from hiflow.priors._centred_normal import CentredNormal
from hiflow.priors._density import SupportsDrawsAlone, has_density
from hiflow.priors._empirical import EmpiricalPrior
from hiflow.priors._function import FunctionPrior
from hiflow.priors._gaussian import GaussianPrior
from hiflow.priors._normal import Normal
from hiflow.priors._particle_gaussian import ParticleGaussianPrior

__all__ = [
    "AbstractPrior",
    "CentredNormal",
    "EmpiricalPrior",
    "FunctionPrior",
    "GaussianPrior",
    "Normal",
    "ParticleGaussianPrior",
    "SupportsCovariance",
    "SupportsDrawsAlone",
    "SupportsFitting",
    "has_density",
    "registry",
]
