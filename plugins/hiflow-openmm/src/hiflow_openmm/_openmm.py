"""Energies and forces as OpenMM itself gives them."""

import functools
from typing import Any

import numpy as np
import openmm
from jaxtyping import Float

from hiflow_openmm._energy import OpenMMEnergy
from hiflow_openmm._system import plain, system_of


def in_openmm(
    energy: OpenMMEnergy, points: Any, platform: str = "Reference"
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n atoms 3"]]:
    """Energies in kT and forces in kT per unit of length of `(n, atoms, 3)` points, one after the other
    and in double precision; to compare the translation with.

    **Arguments:**

    - `platform`: of OpenMM, `"Reference"` (all in double precision), `"CPU"`, …
    """
    context = _context(energy.molecule.xml, platform)
    kT, nanometres = energy.units.kT("kJ/mol"), energy.units.lengths_in("nm")
    values, forces = [], []
    for x in np.asarray(points, np.float64):
        context.setPositions(x * nanometres)
        state = context.getState(energy=True, forces=True)
        values.append(plain(state.getPotentialEnergy()) / kT)
        forces.append(plain(state.getForces(asNumpy=True)) * nanometres / kT)
    return np.asarray(values), np.asarray(forces)


@functools.lru_cache(maxsize=8)
def _context(xml: str, platform: str) -> openmm.Context:
    found = openmm.Platform.getPlatformByName(platform)
    return openmm.Context(system_of(xml), openmm.VerletIntegrator(0.001), found)
