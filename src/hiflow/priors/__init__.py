"""Priors: the law that a flow starts from at t = 0."""

from hiflow.priors._base import AbstractPrior, registry
from hiflow.priors._centred_normal import CentredNormal
from hiflow.priors._normal import Normal

__all__ = ["AbstractPrior", "CentredNormal", "Normal", "registry"]
