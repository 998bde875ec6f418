"""ASE calculators as energies of hiflow: molecules with real force fields and electronic structure."""

from hiflow_ase._energy import AseEnergy
from hiflow_ase._vibrations import frequencies, relax

__all__ = ["AseEnergy", "frequencies", "relax"]
