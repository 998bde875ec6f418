"""The potential energy of an OpenMM system, in units of kT."""

import os
from collections.abc import Sequence
from typing import Any, ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import openmm
from hiflow.energies import AbstractEnergy, HostEnergy, Units, as_event
from hiflow.groups import Permutation, Product, Rotation, Translation
from hiflow.registry import SupportsPresets
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow_openmm._graph import Pairs, single_bonds
from hiflow_openmm._host import host_energy
from hiflow_openmm._moves import sides, turn
from hiflow_openmm._system import Molecule, from_files, from_system, system_of
from hiflow_openmm._terms import squared_distances
from hiflow_openmm._translate import translate

# Of a move, which costs as many energies: about as much as a few of an update's gradients.
_TURNS = 20


@final
class OpenMMEnergy(AbstractEnergy, SupportsPresets):
    r"""$V(x) = E(x) / k_B T$ with the energy $E$ of an isolated molecule from OpenMM's force fields.

    An event holds positions `(atoms, 3)` in the unit `length`. OpenMM reads the force field once; its
    harmonic bonds and angles, periodic torsions, maps of two torsions (CMAP), Lennard-Jones and Coulomb
    interactions with exceptions, implicit solvents (`GBSAOBCForce`, `CustomGBForce`: HCT, OBC, GBn,
    GBn2) and forces by expressions (`CustomBondForce` and its like) are then functions in JAX, exact to
    all derivatives, in single or double precision, in batches and on any device. Two atoms nearer than
    0.25 Å are continued by their tangent. What has no translation (other forces, cutoffs) is left to
    OpenMM on the host, with a warning: that part is slow, and its Hessians are differences of forces.

    Every atom is one of its own. The energy is the same for a molecule and its mirror image, which
    thermal motion never takes it to: `reflections=False` declares the rotations alone, as a flow for
    one enantiomer needs, and `same_chirality` tells whether samples are of it.

    `hf.data.sample` starts chains from `positions`, and rotates about single bonds after every update
    (`move`), which takes them over torsional barriers. Amides stay as they are, cis or trans.

    **Arguments:**

    - `pdb`: a PDB file with hydrogens, or `"aldp"`, alanine dipeptide, which comes with the package.
    - `forcefield`: the names of force fields that OpenMM ships, or files. They are applied without
      cutoff and constraints.
    - `temperature`: in K.
    - `length`: the unit of positions, `"Å"`, `"nm"` or `"bohr"`.
    - `reflections`: whether the group has reflections.
    - `system`, `positions`, `topology`: instead of `pdb` and `forcefield`, an `openmm.System` with
      positions (in nm, or with OpenMM's units), and the topology for names and elements.

    **Raises:** `ValueError` for files that can't be read or don't fit; for periodic boundaries,
    constraints or virtual sites; for a `temperature` that isn't positive or an unknown `length`.
    """

    molecule: Molecule = eqx.field(static=True)
    units: Units
    reflections: bool = eqx.field(static=True)
    bonded: tuple[Any, ...]
    paired: tuple[Any, ...]
    turning: Pairs = eqx.field(static=True)
    """The single bonds that `move` rotates about."""
    rest: HostEnergy | None
    """The forces that OpenMM calculates on the host."""

    presets: ClassVar = {
        "aldp": {"pdb": "aldp", "forcefield": ("amber99sbildn.xml", "amber99_obc.xml")},
        "aldp-ff96": {"pdb": "aldp", "forcefield": ("amber96.xml", "amber96_obc.xml")},
        "aldp-vacuum": {"pdb": "aldp", "forcefield": ("amber99sbildn.xml",)},
    }

    def __init__(
        self,
        pdb: str | os.PathLike[str] | None = None,
        forcefield: Sequence[str] | str = ("amber99sbildn.xml", "amber99_obc.xml"),
        temperature: float = 300.0,
        length: str = "Å",
        reflections: bool = True,
        system: openmm.System | None = None,
        positions: Any = None,
        topology: Any = None,
    ):
        self.units = Units(temperature, length)
        self.reflections = bool(reflections)
        if (pdb is None) == (system is None):
            raise ValueError(
                "OpenMMEnergy: give either `pdb` (with `forcefield`) or `system` (with `positions`)."
            )
        if system is None:
            assert pdb is not None
            self.molecule = from_files(pdb, forcefield)
        else:
            self.molecule = from_system(system, positions, topology)
        terms = translate(system_of(self.molecule.xml), self.units)
        number, bonds = len(self.molecule.masses), self.molecule.bonds
        self.turning = single_bonds(number, bonds, terms.bonded)
        self.rest = None
        if terms.left:
            self.rest = host_energy(self.molecule.xml, terms.left, terms.words, self.units)
        self.bonded, self.paired = terms.bonded, terms.paired

    @classmethod
    def example(cls) -> "OpenMMEnergy":
        """Alanine dipeptide at 300 K, as `hiflow check openmm` takes."""
        return cls.preset("aldp")

    @property
    def event_shape(self) -> tuple[int, int]:
        """`(atoms, 3)`."""
        return (len(self.molecule.masses), 3)

    @property
    def group(self) -> Product:
        """Rotations, with reflections unless they were declined, and translations. No two atoms may be
        exchanged."""
        labels = tuple(range(len(self.molecule.masses)))
        return Product((Permutation(labels), Rotation(3, self.reflections), Translation()))

    @property
    def positions(self) -> Float[Array, "atoms 3"]:
        """Those that the molecule was given with, centred, in the unit of length."""
        x = np.asarray(self.molecule.positions) / self.units.lengths_in("nm")
        return jnp.asarray(x - x.mean(0), jnp.result_type(float))

    @property
    def bonds(self) -> tuple[tuple[int, int], ...]:
        """Bonded atoms, as `hf.networks.EGNN` takes them."""
        return self.molecule.bonds

    @property
    def species(self) -> tuple[int, ...] | None:
        """The atomic numbers, in the order of an event's positions, which files of frames are held
        against; `None` where a system came without its topology."""
        elements = self.molecule.elements
        return elements if all(elements) else None

    @property
    def masses(self) -> Float[np.ndarray, " atoms"]:
        """In Da."""
        return np.asarray(self.molecule.masses)

    @property
    def system(self) -> openmm.System:
        """The `System` in OpenMM; change a copy of it only."""
        return system_of(self.molecule.xml)

    def __call__(self, x: Float[Array, "atoms 3"]) -> Float[Array, ""]:
        event = as_event(self, x)
        x = event.T
        value = jnp.zeros((), x.dtype) if self.rest is None else self.rest(event)
        for term in self.bonded:
            value += _as(term, x.dtype)(x)
        if self.paired:
            squared = squared_distances(x)
            for term in self.paired:
                value += _as(term, x.dtype)(squared)
        return value

    def start(self, key: PRNGKeyArray) -> Float[Array, "atoms 3"]:
        """`positions`, where all chains start."""
        del key
        return self.positions

    def move(self, key: PRNGKeyArray, x: Float[Array, "atoms 3"]) -> Float[Array, "atoms 3"]:
        """Twenty rotations about random single bonds by random angles, each taken or not by Metropolis'
        rule, of the lesser part of the molecule."""
        if not self.turning:
            return x
        behind = sides(len(self.masses), self.bonds, self.turning)
        return turn(self, self.turning, behind, key, x, _TURNS)


def _as(term: Any, dtype: Any) -> Any:
    """A term with its parameters in the event's precision."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype), term)
