"""hiflow: Hessian-Informed Flow Matching on JAX."""

from importlib.metadata import version as _version

from hiflow import couplings as couplings
from hiflow import data as data
from hiflow import divergences as divergences
from hiflow import energies as energies
from hiflow import groups as groups
from hiflow import hessians as hessians
from hiflow import metrics as metrics
from hiflow import networks as networks
from hiflow import paths as paths
from hiflow import priors as priors
from hiflow import spectral as spectral
from hiflow import spectrum as spectrum
from hiflow import time_samplers as time_samplers
from hiflow import times as times
from hiflow.divergences import AbstractDivergence as AbstractDivergence
from hiflow.divergences import Exact as Exact
from hiflow.divergences import Hutchinson as Hutchinson
from hiflow.flow import Flow as Flow
from hiflow.flow import load as load
from hiflow.registry import Registry as Registry
from hiflow.registry import RegistryError as RegistryError
from hiflow.solver import Solver as Solver
from hiflow.solver import SolverStats as SolverStats
from hiflow.training import Training as Training
from hiflow.training import fit as fit

__version__ = _version("hiflow-jax")


def __getattr__(name: str):
    # Loaded when first used: the core doesn't need them.
    if name in ("experiments", "plotting", "testing"):
        import importlib

        return importlib.import_module(f"hiflow.{name}")
    raise AttributeError(f"module 'hiflow' has no attribute {name!r}")
