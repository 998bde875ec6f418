"""From OpenMM's forces by expressions to terms in JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import openmm

from hiflow_openmm._custom import CustomBonded, CustomBorn, CustomPairs
from hiflow_openmm._expressions import NotTranslated

_KINDS = {
    openmm.CustomGBForce.SingleParticle: "single",
    openmm.CustomGBForce.ParticlePair: "pair",
    openmm.CustomGBForce.ParticlePairNoExclusions: "all pairs",
}


def custom_bonds(force: openmm.CustomBondForce, scale: Any) -> list[CustomBonded]:
    rows = [force.getBondParameters(i) for i in range(force.getNumBonds())]
    names = [force.getPerBondParameterName(i) for i in range(force.getNumPerBondParameters())]
    return _bonded(force, [(row[:2], row[2]) for row in rows], names, scale)


def custom_angles(force: openmm.CustomAngleForce, scale: Any) -> list[CustomBonded]:
    rows = [force.getAngleParameters(i) for i in range(force.getNumAngles())]
    names = [force.getPerAngleParameterName(i) for i in range(force.getNumPerAngleParameters())]
    return _bonded(force, [(row[:3], row[3]) for row in rows], names, scale)


def custom_torsions(force: openmm.CustomTorsionForce, scale: Any) -> list[CustomBonded]:
    rows = [force.getTorsionParameters(i) for i in range(force.getNumTorsions())]
    names = [force.getPerTorsionParameterName(i) for i in range(force.getNumPerTorsionParameters())]
    return _bonded(force, [(row[:4], row[4]) for row in rows], names, scale)


def custom_pairs(force: openmm.CustomNonbondedForce, scale: Any) -> list[CustomPairs]:
    if force.getNumInteractionGroups():
        raise NotTranslated("with interaction groups")
    if force.getNumComputedValues():
        raise NotTranslated("with computed values")
    term = CustomPairs(
        excluded=_exclusions(force, force.getExclusionParticles),
        expression=force.getEnergyFunction(),
        parameters=_per_particle(force),
        globals=_globals(force),
        tables=_tables(force),
        **_units(scale),
    )
    return [_tried(term, force.getNumParticles())]


def custom_born(force: openmm.CustomGBForce, scale: Any) -> list[CustomBorn]:
    values = [force.getComputedValueParameters(i) for i in range(force.getNumComputedValues())]
    energies = [force.getEnergyTermParameters(i) for i in range(force.getNumEnergyTerms())]
    term = CustomBorn(
        excluded=_exclusions(force, force.getExclusionParticles),
        values=tuple((name, text, _KINDS[kind]) for name, text, kind in values),
        energies=tuple((text, _KINDS[kind]) for text, kind in energies),
        parameters=_per_particle(force),
        globals=_globals(force),
        tables=_tables(force),
        **_units(scale),
    )
    return [_tried(term, force.getNumParticles())]


def _bonded(force: Any, rows: list[Any], names: list[str], scale: Any) -> list[CustomBonded]:
    if not rows:
        return []
    columns = np.array([row[1] for row in rows], np.float64).reshape(len(rows), len(names)).T
    parameters = dict(zip(names, map(_array, columns), strict=True))
    atoms = tuple(tuple(row[0]) for row in rows)
    term = CustomBonded(
        atoms, force.getEnergyFunction(), _globals(force) | parameters, {}, **_units(scale)
    )
    jax.eval_shape(term, jnp.zeros((3, 1 + max(map(max, atoms)))))  # Raises `NotTranslated`.
    return [term]


def _tried(term: Any, atoms: int) -> Any:
    """The term, if its expressions are known."""
    jax.eval_shape(term, jnp.zeros(atoms * (atoms - 1) // 2))
    return term


def _per_particle(force: Any) -> dict[str, Any]:
    number = force.getNumParticles()
    names = [
        force.getPerParticleParameterName(i) for i in range(force.getNumPerParticleParameters())
    ]
    rows = np.array([force.getParticleParameters(i) for i in range(number)], np.float64)
    return dict(zip(names, map(_array, rows.reshape(number, len(names)).T), strict=True))


def _globals(force: Any) -> dict[str, Any]:
    return {
        force.getGlobalParameterName(i): _array(force.getGlobalParameterDefaultValue(i))
        for i in range(force.getNumGlobalParameters())
    }


def _tables(force: Any) -> dict[str, Any]:
    found = {}
    for i in range(force.getNumTabulatedFunctions()):
        table = force.getTabulatedFunction(i)
        if not isinstance(table, openmm.Discrete1DFunction | openmm.Discrete2DFunction):
            raise NotTranslated(f"with a {type(table).__name__}")
        *sizes, values = _sizes_and_values(table)
        found[force.getTabulatedFunctionName(i)] = _array(np.reshape(values, sizes, order="F"))
    return found


def _sizes_and_values(table: Any) -> tuple[Any, ...]:
    if isinstance(table, openmm.Discrete1DFunction):
        values = table.getFunctionParameters()
        return len(values), values
    return tuple(table.getFunctionParameters())


def _exclusions(force: Any, pair: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(pair(i)) for i in range(force.getNumExclusions()))


def _units(scale: Any) -> dict[str, Any]:
    return {"energy": _array(scale.energy), "length": _array(1 / scale.length)}


def _array(value: Any) -> Any:
    return jnp.asarray(np.asarray(value, np.float64), jnp.result_type(float))
