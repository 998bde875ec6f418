"""Force fields of OpenMM as energies of hiflow: translated to JAX, in kT."""

from hiflow_openmm._energy import OpenMMEnergy
from hiflow_openmm._geometry import dihedral, same_chirality, torsions
from hiflow_openmm._openmm import in_openmm

__all__ = ["OpenMMEnergy", "dihedral", "in_openmm", "same_chirality", "torsions"]
