"""Couplings: how prior samples are paired with data points."""

from hiflow.couplings._base import AbstractCoupling as AbstractCoupling
from hiflow.couplings._independent import Independent as Independent
from hiflow.registry import Registry

registry = Registry("couplings", AbstractCoupling, {"independent": "hiflow.couplings:Independent"})
