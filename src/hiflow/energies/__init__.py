"""Energies: potentials in units of kT whose Boltzmann density is the target."""

from hiflow.energies._affine import Affine
from hiflow.energies._base import (
    AbstractEnergy,
    SupportsEntropy,
    SupportsFitting,
    SupportsHessian,
    SupportsLowRank,
    SupportsMoves,
    SupportsResiduals,
    SupportsSampling,
    SupportsSharedBasis,
    registry,
)
from hiflow.energies._bead_chain import BeadChain
from hiflow.energies._conventions import AbstractBenchmarkEnergy
from hiflow.energies._descent import quench, relax
from hiflow.energies._double_well import DoubleWell
from hiflow.energies._double_well_particles import DoubleWellParticles
from hiflow.energies._energy_network import EnergyNetwork
from hiflow.energies._events import as_event
from hiflow.energies._files import load, save
from hiflow.energies._fitted_gaussian import FittedGaussian
from hiflow.energies._fitted_mixture import FittedMixture
from hiflow.energies._fitting import HeldOut
from hiflow.energies._function import FunctionEnergy, as_function
from hiflow.energies._funnel import Funnel
from hiflow.energies._gaussian import Gaussian
from hiflow.energies._gaussian_mixture import GaussianMixture
from hiflow.energies._host_energy import DifferenceError, HostEnergy
from hiflow.energies._kernel_density import KernelDensity
from hiflow.energies._lattice import LatticePhi4
from hiflow.energies._lennard_jones import LennardJones
from hiflow.energies._muller_brown import MullerBrown
from hiflow.energies._normal_modes import (
    NormalModes,
    Thermodynamics,
    normal_modes,
    thermodynamics,
    vibrations,
    wave_numbers,
)
from hiflow.energies._pairs import AbstractPairEnergy
from hiflow.energies._ring import Ring
from hiflow.energies._units import (
    Length,
    SupportsSpecies,
    SupportsUnits,
    Units,
    species_of,
    units_of,
)
from hiflow.energies._wrapped import Wrapped

__all__ = [
    "AbstractBenchmarkEnergy",
    "AbstractEnergy",
    "AbstractPairEnergy",
    "Affine",
    "BeadChain",
    "DifferenceError",
    "DoubleWell",
    "DoubleWellParticles",
    "EnergyNetwork",
    "FittedGaussian",
    "FittedMixture",
    "FunctionEnergy",
    "Funnel",
    "Gaussian",
    "GaussianMixture",
    "HeldOut",
    "HostEnergy",
    "KernelDensity",
    "LatticePhi4",
    "Length",
    "LennardJones",
    "MullerBrown",
    "NormalModes",
    "Ring",
    "SupportsEntropy",
    "SupportsFitting",
    "SupportsHessian",
    "SupportsLowRank",
    "SupportsMoves",
    "SupportsResiduals",
    "SupportsSampling",
    "SupportsSharedBasis",
    "SupportsSpecies",
    "SupportsUnits",
    "Thermodynamics",
    "Units",
    "Wrapped",
    "as_event",
    "as_function",
    "load",
    "normal_modes",
    "quench",
    "registry",
    "relax",
    "save",
    "species_of",
    "thermodynamics",
    "units_of",
    "vibrations",
    "wave_numbers",
]
