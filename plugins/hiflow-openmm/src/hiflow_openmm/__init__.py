"""Force fields of OpenMM as energies of hiflow: translated to JAX, in kT."""

from hiflow.energies import NormalModes, Thermodynamics, thermodynamics

from hiflow_openmm._energy import OpenMMEnergy
from hiflow_openmm._geometry import dihedral, same_chirality, torsions
from hiflow_openmm._openmm import in_openmm, langevin
from hiflow_openmm._vibrations import minimum, normal_modes

__all__ = [
    "NormalModes",
    "OpenMMEnergy",
    "Thermodynamics",
    "dihedral",
    "in_openmm",
    "langevin",
    "minimum",
    "normal_modes",
    "same_chirality",
    "thermodynamics",
    "torsions",
]
