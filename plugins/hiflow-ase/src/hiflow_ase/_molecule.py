"""A molecule and its calculator: energies and forces in NumPy, eV and Å."""

import threading
import weakref
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float


class Molecule:
    """A molecule and its calculator, equal only to itself, as compiled programs need it.

    Calculators keep state, so each runs one calculation at a time, whichever molecules share it.

    **Arguments:**

    - `atoms`: is kept without a calculator and never changed.
    - `calculator`: an ASE calculator.
    - `label`: what errors call the calculator.
    """

    def __init__(self, atoms: Atoms, calculator: Any, label: str):
        self.atoms = atoms
        self.calculator = calculator
        self.label = label
        # A plain energy isn't what the forces derive from where electrons are smeared.
        properties = getattr(calculator, "implemented_properties", ())
        self._free_energy = "free_energy" in properties
        # Reentrant: a relaxation holds it over many calculations.
        self.lock = _lock_of(calculator)

    def __reduce__(self):
        return type(self), (self.atoms, self.calculator, self.label)

    def __repr__(self) -> str:
        return f"{self.label} for {self.atoms.get_chemical_formula()}"

    def try_out(self) -> float:
        """The energy at the molecule's positions, in eV. **Raises:** `ValueError` unless it and the
        forces are finite there."""
        try:
            value, forces = self.energy_and_forces(self.atoms.positions)
        except Exception as error:
            raise ValueError(
                f"AseEnergy: {self!r} failed: {type(error).__name__}: {error}. It was tried at the "
                "positions of `atoms`. Choose a `calculator` that gives energies and forces for these "
                "elements."
            ) from error
        if not (np.isfinite(value) and np.isfinite(forces).all()):
            raise ValueError(
                f"AseEnergy: {self!r} gives an energy of {value} eV at the positions of `atoms`, "
                "or forces that aren't finite. Do atoms overlap? Positions are in Å."
            )
        return value

    def at(self, x: Float[np.ndarray, "atoms 3"]) -> Atoms:
        """A copy of the molecule at these positions, with the calculator. Hold the lock."""
        atoms = self.atoms.copy()
        atoms.positions = x
        atoms.calc = self.calculator
        return atoms

    def energy_and_forces(
        self, x: Float[np.ndarray, "atoms 3"]
    ) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
        """In eV and eV/Å. Where they aren't finite, as for atoms that overlap, the energy is infinite:
        such a geometry is never accepted."""
        with self.lock, np.errstate(all="ignore"):
            atoms = self.at(x)
            energy = float(atoms.get_potential_energy(force_consistent=self._free_energy))
            forces = np.asarray(atoms.get_forces(), np.float64)
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            return np.inf, np.zeros_like(forces)
        return energy, forces


# By the calculator's id, as calculators needn't be hashable. A molecule holds its calculator and
# the lock, so the entry is gone before another object can have that id.
_LOCKS: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_ENTRY = threading.Lock()


def _lock_of(calculator: Any) -> Any:
    with _ENTRY:
        return _LOCKS.setdefault(id(calculator), threading.RLock())
