"""hiflow: Hessian-Informed Flow Matching on JAX.

Every name is imported when it is first used: what needs no JAX, the command line's help for one, starts
without it.
"""

from typing import TYPE_CHECKING

from hiflow._lazy import attach as _attach

if TYPE_CHECKING:
    from hiflow import callbacks as callbacks
    from hiflow import coordinates as coordinates
    from hiflow import couplings as couplings
    from hiflow import data as data
    from hiflow import divergences as divergences
    from hiflow import energies as energies
    from hiflow import experiments as experiments
    from hiflow import flow as flow
    from hiflow import groups as groups
    from hiflow import hessians as hessians
    from hiflow import metrics as metrics
    from hiflow import networks as networks
    from hiflow import paths as paths
    from hiflow import plotting as plotting
    from hiflow import priors as priors
    from hiflow import registry as registry
    from hiflow import solver as solver
    from hiflow import spectral as spectral
    from hiflow import spectrum as spectrum
    from hiflow import standardisation as standardisation
    from hiflow import targets as targets
    from hiflow import testing as testing
    from hiflow import time_samplers as time_samplers
    from hiflow import times as times
    from hiflow import training as training
    from hiflow._version import __version__ as __version__
    from hiflow.divergences import AbstractDivergence as AbstractDivergence
    from hiflow.divergences import Exact as Exact
    from hiflow.divergences import Hutchinson as Hutchinson
    from hiflow.flow import Flow as Flow
    from hiflow.flow import load as load
    from hiflow.registry import Registry as Registry
    from hiflow.registry import RegistryError as RegistryError
    from hiflow.solver import Solver as Solver
    from hiflow.solver import SolverStats as SolverStats
    from hiflow.standardisation import Standardised as Standardised
    from hiflow.training import Choice as Choice
    from hiflow.training import History as History
    from hiflow.training import ScaleWarning as ScaleWarning
    from hiflow.training import Training as Training
    from hiflow.training import choose_path as choose_path
    from hiflow.training import finish as finish
    from hiflow.training import fit as fit
    from hiflow.training import fit_many as fit_many
    from hiflow.training import learn_path as learn_path
else:
    _MODULES = (
        *(
            "callbacks",
            "coordinates",
            "couplings",
            "data",
            "divergences",
            "energies",
            "experiments",
            "flow",
            "groups",
        ),
        *("hessians", "metrics", "networks", "paths", "plotting", "priors", "registry", "solver"),
        *(
            "spectral",
            "spectrum",
            "standardisation",
            "targets",
            "testing",
            "time_samplers",
            "times",
            "training",
        ),
    )
    _NAMES = {
        "__version__": "_version",
        "AbstractDivergence": "divergences",
        "Exact": "divergences",
        "Hutchinson": "divergences",
        "Flow": "flow",
        "load": "flow",
        "Registry": "registry",
        "RegistryError": "registry",
        "Solver": "solver",
        "SolverStats": "solver",
        "Choice": "training",
        "History": "training",
        "ScaleWarning": "training",
        "Standardised": "standardisation",
        "Training": "training",
        "choose_path": "training",
        "finish": "training",
        "fit": "training",
        "fit_many": "training",
        "learn_path": "training",
    }
    __getattr__, __dir__, __all__ = _attach(__name__, dict.fromkeys(_MODULES, "") | _NAMES)
    __all__.remove(
        "plotting"
    )  # Of all parts the only one that needs more than hiflow's dependencies.
