"""What an energy is made of: a PDB file and force fields, or a `System` of OpenMM."""

import functools
import os
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import openmm
from jaxtyping import Float
from openmm import app, unit

# Molecules that come with the package, by name.
SHIPPED = ("aldp",)


class Molecule(NamedTuple):
    """A system with what it says of its atoms; all of it hashable."""

    xml: str
    """The `System`, as OpenMM writes it."""
    names: tuple[str, ...]
    elements: tuple[int, ...]
    """Atomic numbers; 0 where they aren't known."""
    bonds: tuple[tuple[int, int], ...]
    masses: tuple[float, ...]
    """In Da."""
    positions: tuple[tuple[float, ...], ...]
    """In nm."""


def from_files(pdb: str | os.PathLike[str], forcefield: Sequence[str] | str) -> Molecule:
    """The molecule of a PDB file, or of that name, in a force field, without constraints."""
    path = str(files("hiflow_openmm") / "data" / f"{pdb}.pdb") if pdb in SHIPPED else os.fspath(pdb)
    try:
        read = app.PDBFile(path)
    except FileNotFoundError as error:
        raise ValueError(
            f"OpenMMEnergy: `pdb` {pdb!r} is no file, nor a molecule that comes with hiflow-openmm: "
            f"{', '.join(SHIPPED)}."
        ) from error
    except Exception as error:
        raise ValueError(
            f"OpenMMEnergy: `pdb` {pdb!r} can't be read: {type(error).__name__}: {error}. Give a PDB "
            "file with hydrogens."
        ) from error
    names = (forcefield,) if isinstance(forcefield, str) else tuple(forcefield)
    try:
        known = app.ForceField(*names)
    except Exception as error:
        raise ValueError(
            f"OpenMMEnergy: the `forcefield` {list(names)} can't be read: {error}. Give names that "
            "OpenMM ships, such as 'amber99sbildn.xml', or files."
        ) from error
    try:
        system = known.createSystem(
            read.topology, nonbondedMethod=app.NoCutoff, constraints=None, rigidWater=False
        )
    except Exception as error:
        raise ValueError(
            f"OpenMMEnergy: the `forcefield` {list(names)} doesn't fit {pdb!r}: {error}"
        ) from error
    return from_system(system, read.positions, read.topology)


def from_system(
    system: openmm.System, positions: Any, topology: app.Topology | None = None
) -> Molecule:
    """The molecule of a `System`. Without a topology its bonds are those of its force on bonds."""
    _refuse(system)
    number = system.getNumParticles()
    x = _nanometres(positions, number)
    masses = tuple(_dalton(system, i) for i in range(number))
    if topology is None:
        names = tuple(str(i) for i in range(number))
        elements, bonds = (0,) * number, _bonds(system)
    else:
        atoms = list(topology.atoms())
        if len(atoms) != number:
            raise ValueError(
                f"OpenMMEnergy: `topology` has {len(atoms)} atoms and `system` {number}. Give the "
                "topology that the system was made from."
            )
        names = tuple(f"{atom.residue.name}{atom.residue.id}-{atom.name}" for atom in atoms)
        elements = tuple(atom.element.atomic_number if atom.element else 0 for atom in atoms)
        bonds = tuple((bond[0].index, bond[1].index) for bond in topology.bonds())
    rows = tuple(tuple(row) for row in x.tolist())
    xml = openmm.XmlSerializer.serialize(system)
    return Molecule(xml, names, elements, tuple(map(_sorted, bonds)), masses, rows)


@functools.lru_cache(maxsize=8)
def system_of(xml: str) -> openmm.System:
    """The `System` of its text."""
    return openmm.XmlSerializer.deserialize(xml)


def plain(quantity: Any) -> Any:
    """A quantity's number in nm, ps, kJ/mol, Da, elementary charges and radians."""
    return quantity.value_in_unit_system(unit.md_unit_system)


def _refuse(system: object) -> None:
    if not isinstance(system, openmm.System):
        raise ValueError(f"OpenMMEnergy: `system` must be an openmm.System, got {system!r}.")
    number = system.getNumParticles()
    if number == 0:
        raise ValueError("OpenMMEnergy: `system` holds no atoms.")
    if system.usesPeriodicBoundaryConditions():
        raise ValueError(
            "OpenMMEnergy: `system` has periodic boundaries, and isolated molecules alone are known "
            "here. Make it with nonbondedMethod=NoCutoff, with an implicit solvent if you like."
        )
    if system.getNumConstraints():
        raise ValueError(
            f"OpenMMEnergy: `system` has {system.getNumConstraints()} constraints, which leave the "
            "density without a value off their surface; and the bonds that they replace have no force, "
            "so they can't be dropped. Make it with constraints=None, rigidWater=False."
        )
    for i in range(number):
        if system.isVirtualSite(i) or _dalton(system, i) == 0:
            raise ValueError(
                f"OpenMMEnergy: particle {i} of `system` is a virtual site or has no mass: it isn't "
                "free to move. Use a model whose particles are atoms, such as TIP3P for water."
            )


def _dalton(system: openmm.System, particle: int) -> float:
    return plain(system.getParticleMass(particle))


def _nanometres(positions: Any, number: int) -> Float[np.ndarray, "atoms 3"]:
    if unit.is_quantity(positions):
        positions = plain(positions)
    try:
        x = np.array([list(row) for row in positions], np.float64)
    except (TypeError, ValueError):
        x = np.zeros(0)
    if x.shape != (number, 3) or not np.isfinite(x).all():
        raise ValueError(
            f"OpenMMEnergy: `positions` must be finite, of shape ({number}, 3), in nm or with a unit "
            f"of OpenMM; got {positions!r}."
        )
    return x


def _bonds(system: openmm.System) -> tuple[tuple[int, int], ...]:
    found = []
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            found += [tuple(force.getBondParameters(i)[:2]) for i in range(force.getNumBonds())]
    return tuple(found)


def _sorted(bond: tuple[int, int]) -> tuple[int, int]:
    return (min(bond), max(bond))
