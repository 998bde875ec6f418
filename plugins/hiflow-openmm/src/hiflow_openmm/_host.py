"""Forces that have no translation: OpenMM gives them, one geometry after the other."""

import dataclasses
import functools
import warnings

import numpy as np
import openmm
from hiflow.energies import HostEnergy, Units
from jaxtyping import Float

from hiflow_openmm._system import plain, system_of


def host_energy(
    xml: str, left: tuple[int, ...], words: tuple[str, ...], units: Units
) -> HostEnergy:
    """The energy of the forces `left` of a system, which these words name; said aloud."""
    system = openmm.XmlSerializer.deserialize(xml)
    for index in reversed(range(system.getNumForces())):
        if index not in left:
            system.removeForce(index)
    rest = openmm.XmlSerializer.serialize(system)
    warnings.warn(
        f"OpenMMEnergy: {', '.join(words)} can't be translated to JAX. OpenMM calculates that part on "
        "the host, one geometry after the other; its Hessian is by differences of forces.",
        stacklevel=4,
    )
    return HostEnergy(
        Calculation(rest, units.lengths_in("nm")),
        (system.getNumParticles(), 3),
        batch=True,
        units=units,
        unit="kJ/mol",
        identity=f"OpenMM {openmm.version.full_version}: {rest}",
        label=f"OpenMM: {', '.join(words)}",
    )


@dataclasses.dataclass(frozen=True)
class Calculation:
    """Energies in kJ/mol and forces in kJ/mol per unit of length of `(n, atoms, 3)` positions.

    - `xml`: the system.
    - `nanometres`: how many one unit of length is.
    - `platform`: of OpenMM.
    """

    xml: str
    nanometres: float
    platform: str = "Reference"

    def __call__(
        self, points: Float[np.ndarray, "n atoms 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n atoms 3"]]:
        context = context_of(self.xml, self.platform)
        values, forces = np.zeros(len(points)), np.zeros(np.shape(points))
        for k, x in enumerate(points):
            context.setPositions(x * self.nanometres)
            state = context.getState(energy=True, forces=True)
            values[k] = plain(state.getPotentialEnergy())
            forces[k] = plain(state.getForces(asNumpy=True)) * self.nanometres
        return values, forces


@functools.lru_cache(maxsize=8)
def context_of(xml: str, platform: str) -> openmm.Context:
    """A context of the system, made once."""
    found = openmm.Platform.getPlatformByName(platform)
    return openmm.Context(system_of(xml), openmm.VerletIntegrator(0.001), found)
