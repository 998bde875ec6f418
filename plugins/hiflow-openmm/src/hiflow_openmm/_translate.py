"""From the forces of an OpenMM `System` to terms in JAX."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import openmm
from hiflow.energies import Units

from hiflow_openmm._custom import CustomBorn, CustomPairs
from hiflow_openmm._expressions import NotTranslated
from hiflow_openmm._maps import Map, coefficients
from hiflow_openmm._system import plain
from hiflow_openmm._terms import Angles, Bonds, Pairs, Solvent, Torsions
from hiflow_openmm._translate_custom import (
    custom_angles,
    custom_bonds,
    custom_born,
    custom_pairs,
    custom_torsions,
)

# Of OpenMM, in kJ/mol nm, so that energies agree to all digits.
_COULOMB = 138.93545764438198
# Of GBSAOBCForce, in nm: what radii are reduced by, and the radius of water.
_OFFSET, _PROBE = 0.009, 0.14
# In nm: no two atoms of a molecule at any temperature below a plasma's come as near.
_CORE = 0.025


class Terms(NamedTuple):
    """What a system's forces became."""

    bonded: tuple[Any, ...]
    """Functions of positions."""
    paired: tuple[Any, ...]
    """Functions of squared distances."""
    left: tuple[int, ...]
    """Which forces have no translation."""
    words: tuple[str, ...]
    """What they are."""


def translate(system: openmm.System, units: Units) -> Terms:
    """The terms of all forces that are known here, in kT and the unit of length."""
    bonded, paired, left, words = [], [], [], []
    for index, force in enumerate(system.getForces()):
        if isinstance(force, openmm.CMMotionRemover):
            continue  # It acts on velocities alone.
        reader = _READERS.get(type(force))
        reason = _KNOWN.get(type(force), lambda force: "")(force)
        if reader is None or reason:
            left.append(index)
            words.append(type(force).__name__ + (f" ({reason})" if reason else ""))
            continue
        try:
            found = reader(force, _Scale(units))
        except NotTranslated as why:
            left.append(index)
            words.append(f"{type(force).__name__} ({why})")
            continue
        for term in found:
            (paired if isinstance(term, _PAIRED) else bonded).append(term)
    return Terms(tuple(bonded), tuple(paired), tuple(left), tuple(words))


class _Scale:
    """What OpenMM's kJ/mol and nm are in the energy's units."""

    def __init__(self, units: Units):
        self.energy = 1 / units.kT("kJ/mol")
        self.length = 1 / units.lengths_in("nm")


def _bonds(force: openmm.HarmonicBondForce, scale: _Scale) -> list[Bonds]:
    rows = [force.getBondParameters(i) for i in range(force.getNumBonds())]
    if not rows:
        return []
    length = [plain(row[2]) for row in rows]
    stiffness = [plain(row[3]) for row in rows]
    atoms = tuple(tuple(row[:2]) for row in rows)
    stiffness = _array(stiffness, scale.energy / scale.length**2)
    return [Bonds(atoms, _array(length, scale.length), stiffness)]


def _angles(force: openmm.HarmonicAngleForce, scale: _Scale) -> list[Angles]:
    rows = [force.getAngleParameters(i) for i in range(force.getNumAngles())]
    if not rows:
        return []
    angle = [plain(row[3]) for row in rows]
    stiffness = [plain(row[4]) for row in rows]
    atoms = tuple(tuple(row[:3]) for row in rows)
    return [Angles(atoms, _array(angle), _array(stiffness, scale.energy))]


def _torsions(force: openmm.PeriodicTorsionForce, scale: _Scale) -> list[Torsions]:
    rows = [force.getTorsionParameters(i) for i in range(force.getNumTorsions())]
    # Amber lists many without a barrier.
    rows = [row for row in rows if plain(row[6]) != 0]
    if not rows:
        return []
    atoms = list(dict.fromkeys(tuple(row[:4]) for row in rows))
    cosine = np.zeros((max(row[4] for row in rows), len(atoms)))
    sine, constant = np.zeros_like(cosine), 0.0
    for row in rows:
        n, phase, k = row[4], plain(row[5]), plain(row[6])
        at = n - 1, atoms.index(tuple(row[:4]))
        cosine[at] += k * np.cos(phase)
        sine[at] += k * np.sin(phase)
        constant += k
    energy = scale.energy
    parts = [_array(part, energy) for part in (constant, cosine, sine)]
    return [Torsions(tuple(atoms), *parts)]


def _maps(force: openmm.CMAPTorsionForce, scale: _Scale) -> list[Map]:
    rows = [force.getTorsionParameters(i) for i in range(force.getNumTorsions())]
    found = []
    for index in sorted({row[0] for row in rows}):
        size, energies = force.getMapParameters(index)
        # OpenMM runs through the first angle first.
        table = np.reshape(plain(energies), (size, size)).T
        first, second = (
            tuple(tuple(row[k : k + 4]) for row in rows if row[0] == index) for k in (1, 5)
        )
        found.append(Map(first, second, _array(coefficients(table), scale.energy)))
    return found


def _pairs(force: openmm.NonbondedForce, scale: _Scale) -> list[Pairs]:
    rows = [force.getParticleParameters(i) for i in range(force.getNumParticles())]
    charge = np.array([plain(row[0]) for row in rows])
    sigma = np.array([plain(row[1]) for row in rows])
    epsilon = np.array([plain(row[2]) for row in rows])
    charges = np.outer(charge, charge)
    sigmas = (sigma[:, None] + sigma[None, :]) / 2
    epsilons = np.sqrt(np.outer(epsilon, epsilon))
    for one in range(force.getNumExceptions()):
        i, j, product, length, depth = force.getExceptionParameters(one)
        for at in ((i, j), (j, i)):
            charges[at] = plain(product)
            sigmas[at] = plain(length)
            epsilons[at] = plain(depth)
    each = np.triu_indices(len(rows), 1)
    charges, sigmas, epsilons = charges[each], sigmas[each], epsilons[each]
    sixth = (sigmas * scale.length) ** 6
    pairs = Pairs(
        _array(4 * epsilons * sixth**2, scale.energy),
        _array(4 * epsilons * sixth, scale.energy),
        _array(charges, _COULOMB * scale.energy * scale.length),
        _array(_CORE, scale.length),
    )
    return [pairs]


def _solvent(force: openmm.GBSAOBCForce, scale: _Scale) -> list[Solvent]:
    rows = [force.getParticleParameters(i) for i in range(force.getNumParticles())]
    charge = np.array([plain(row[0]) for row in rows])
    radii = np.array([plain(row[1]) for row in rows])
    tau = _COULOMB * (1 / force.getSoluteDielectric() - 1 / force.getSolventDielectric())
    surface = plain(force.getSurfaceAreaEnergy())
    solvent = Solvent(
        charges=_array(charge, np.sqrt(tau * scale.energy * scale.length)),
        radii=_array(radii, scale.length),
        scales=_array((radii - _OFFSET) * [row[2] for row in rows], scale.length),
        offset=_array(_OFFSET, scale.length),
        probe=_array(_PROBE, scale.length),
        surface=_array(surface, scale.energy / scale.length**2),
    )
    return [solvent]


def _array(value: Any, factor: float = 1.0) -> Any:
    return jnp.asarray(np.asarray(value, np.float64) * factor, jnp.result_type(float))


def _periodic(force: Any) -> str:
    return "periodic" if force.usesPeriodicBoundaryConditions() else ""


def _cut_off(force: Any) -> str:
    if force.getNonbondedMethod() != type(force).NoCutoff:
        return "with a cutoff"
    offsets = getattr(force, "getNumParticleParameterOffsets", int)()
    offsets += getattr(force, "getNumExceptionParameterOffsets", int)()
    return "with parameter offsets" if offsets else ""


_READERS: dict[type, Callable[..., Any]] = {
    openmm.HarmonicBondForce: _bonds,
    openmm.HarmonicAngleForce: _angles,
    openmm.PeriodicTorsionForce: _torsions,
    openmm.CMAPTorsionForce: _maps,
    openmm.NonbondedForce: _pairs,
    openmm.GBSAOBCForce: _solvent,
    openmm.CustomBondForce: custom_bonds,
    openmm.CustomAngleForce: custom_angles,
    openmm.CustomTorsionForce: custom_torsions,
    openmm.CustomNonbondedForce: custom_pairs,
    openmm.CustomGBForce: custom_born,
}
_PAIRED = Pairs | Solvent | CustomPairs | CustomBorn
# Why one of them can't be translated as it is set, or no words.
_KNOWN: dict[type, Callable[[Any], str]] = {
    openmm.HarmonicBondForce: _periodic,
    openmm.HarmonicAngleForce: _periodic,
    openmm.PeriodicTorsionForce: _periodic,
    openmm.CMAPTorsionForce: _periodic,
    openmm.NonbondedForce: _cut_off,
    openmm.GBSAOBCForce: _cut_off,
    openmm.CustomBondForce: _periodic,
    openmm.CustomAngleForce: _periodic,
    openmm.CustomTorsionForce: _periodic,
    openmm.CustomNonbondedForce: _cut_off,
    openmm.CustomGBForce: _cut_off,
}
