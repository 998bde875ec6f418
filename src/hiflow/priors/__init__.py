"""Priors: the law that a flow starts from at t = 0."""

from hiflow.priors._base import AbstractPrior
from hiflow.priors._centred_normal import CentredNormal
from hiflow.priors._normal import Normal
from hiflow.registry import Registry

registry = Registry(
    "priors",
    AbstractPrior,
    {
        "centred-normal": "hiflow.priors:CentredNormal",
        "normal": "hiflow.priors:Normal",
    },
)

__all__ = ["AbstractPrior", "CentredNormal", "Normal", "registry"]
