"""Divergences of velocity fields: exact, or estimated with probes that are drawn once."""

from hiflow.divergences._base import AbstractDivergence as AbstractDivergence
from hiflow.divergences._exact import Exact as Exact
from hiflow.divergences._hutchinson import Hutchinson as Hutchinson
from hiflow.registry import Registry

registry = Registry(
    "divergences",
    AbstractDivergence,
    {
        "exact": "hiflow.divergences:Exact",
        "hutchinson": "hiflow.divergences:Hutchinson",
    },
)
