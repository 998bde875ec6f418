"""Priors: the law that a flow starts from at t = 0."""

from hiflow.priors._base import AbstractPrior, SupportsCovariance, SupportsFitting, registry
from hiflow.priors._centred_normal import CentredNormal
from hiflow.priors._gaussian import GaussianPrior
from hiflow.priors._normal import Normal
from hiflow.priors._particle_gaussian import ParticleGaussianPrior

__all__ = [
    "AbstractPrior",
    "CentredNormal",
    "GaussianPrior",
    "Normal",
    "ParticleGaussianPrior",
    "SupportsCovariance",
    "SupportsFitting",
    "registry",
]
