"""A calculator on the host: energies, gradients and their differences, in NumPy, eV and Å."""

import threading
import weakref
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float


class Host:
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
        return f"{self.label} of {self.atoms.get_chemical_formula()}"

    def try_out(self) -> None:
        """**Raises:** `ValueError` unless energy and forces are finite at the molecule's positions."""
        try:
            value, gradient = self.energy_and_gradient(self.atoms.positions)
        except RuntimeError as error:
            raise ValueError(
                f"{error} It was tried at the positions of `atoms`. Choose a `calculator` that gives "
                "energies and forces for these elements."
            ) from error
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise ValueError(
                f"AseEnergy: {self.label} gives an energy of {value} eV at the positions of `atoms`, "
                "or forces that aren't finite. Do atoms overlap? Positions are in Å."
            )

    def at(self, x: Float[np.ndarray, "atoms 3"]) -> Atoms:
        """A copy of the molecule at these positions, with the calculator. Hold the lock."""
        atoms = self.atoms.copy()
        atoms.positions = x
        atoms.calc = self.calculator
        return atoms

    def energy(self, x: Float[np.ndarray, "atoms 3"]) -> tuple[Any]:
        """In eV; NaN where the positions aren't finite."""
        return (self._calculate(x, self._energy_of) if np.isfinite(x).all() else np.nan,)

    def energy_and_gradient(self, x: Float[np.ndarray, "atoms 3"]) -> tuple[Any, np.ndarray]:
        """In eV and eV/Å; NaN where the positions aren't finite."""
        if not np.isfinite(x).all():
            return np.nan, np.full(x.shape, np.nan)
        return self._calculate(x, lambda atoms: (self._energy_of(atoms), _gradient_of(atoms)))

    def hessian_vector_product(
        self,
        x: Float[np.ndarray, "atoms 3"],
        v: Float[np.ndarray, "atoms 3"],
        displacement: Float[np.ndarray, ""],
    ) -> tuple[np.ndarray]:
        """In eV/Å² times the unit of `v`: a difference of gradients along `v`."""
        longest = np.linalg.norm(v, axis=1).max()
        if longest == 0:
            return (np.zeros_like(x),)
        return (self._difference(x, v * (displacement / longest)) * (longest / displacement),)

    def hessian(
        self, x: Float[np.ndarray, "atoms 3"], displacement: Float[np.ndarray, ""]
    ) -> tuple[Float[np.ndarray, "dim dim"]]:
        """In eV/Å²: a difference of gradients per coordinate, symmetrised."""
        steps = displacement * np.eye(x.size).reshape(x.size, *x.shape)
        rows = np.stack([self._difference(x, step).ravel() for step in steps]) / displacement
        return ((rows + rows.T) / 2,)

    def _difference(self, x: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Half the change of the gradient from `x - step` to `x + step`."""
        return (self._gradient(x + step) - self._gradient(x - step)) / 2

    def _gradient(self, x: np.ndarray) -> np.ndarray:
        if not np.isfinite(x).all():
            return np.full(x.shape, np.nan)
        return self._calculate(x, _gradient_of)

    def _calculate(self, x: np.ndarray, result_of: Any) -> Any:
        # Atoms that overlap are for the caller to see, as values that aren't finite.
        with self.lock, np.errstate(all="ignore"):
            try:
                return result_of(self.at(x))
            except Exception as error:
                raise RuntimeError(
                    f"AseEnergy: {self.label} failed for {self.atoms.get_chemical_formula()}: "
                    f"{type(error).__name__}: {error}."
                ) from error

    def _energy_of(self, atoms: Atoms) -> float:
        return atoms.get_potential_energy(force_consistent=self._free_energy)


def _gradient_of(atoms: Atoms) -> np.ndarray:
    return -np.asarray(atoms.get_forces(), np.float64)


# By the calculator's id, as calculators needn't be hashable. A molecule holds its calculator and
# the lock, so the entry is gone before another object can have that id.
_LOCKS: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_ENTRY = threading.Lock()


def _lock_of(calculator: Any) -> Any:
    with _ENTRY:
        return _LOCKS.setdefault(id(calculator), threading.RLock())
