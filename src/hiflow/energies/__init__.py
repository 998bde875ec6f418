"""Energies: potentials in units of kT whose Boltzmann density is the target."""

from hiflow.energies._base import (
    AbstractEnergy,
    SupportsEntropy,
    SupportsHessian,
    SupportsResiduals,
    SupportsSampling,
)
from hiflow.energies._double_well import DoubleWell
from hiflow.energies._double_well_particles import DoubleWellParticles
from hiflow.energies._function import FunctionEnergy
from hiflow.energies._gaussian import Gaussian
from hiflow.energies._gaussian_mixture import GaussianMixture
from hiflow.energies._lennard_jones import LennardJones
from hiflow.energies._pairs import AbstractPairEnergy
from hiflow.energies._quench import quench
from hiflow.energies._ring import Ring
from hiflow.registry import Registry

registry = Registry(
    "energies",
    AbstractEnergy,
    {
        "double-well": "hiflow.energies:DoubleWell",
        "double-well-particles": "hiflow.energies:DoubleWellParticles",
        "function": "hiflow.energies:FunctionEnergy",
        "gaussian": "hiflow.energies:Gaussian",
        "gaussian-mixture": "hiflow.energies:GaussianMixture",
        "lennard-jones": "hiflow.energies:LennardJones",
        "ring": "hiflow.energies:Ring",
    },
)

__all__ = [
    "AbstractEnergy",
    "AbstractPairEnergy",
    "DoubleWell",
    "DoubleWellParticles",
    "FunctionEnergy",
    "Gaussian",
    "GaussianMixture",
    "LennardJones",
    "Ring",
    "SupportsEntropy",
    "SupportsHessian",
    "SupportsResiduals",
    "SupportsSampling",
    "quench",
    "registry",
]
