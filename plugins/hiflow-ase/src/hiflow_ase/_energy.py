"""The potential energy surface of an ASE calculator, in units of kT."""

import os
import warnings
from collections.abc import Mapping
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from ase import Atoms, units
from hiflow.energies import AbstractEnergy, DifferenceError, HostEnergy, Units, as_event
from hiflow.groups import Permutation, Product, Rotation, Translation
from jax.core import Tracer
from jaxtyping import Array, Float

from hiflow_ase._inputs import as_atoms, as_calculator
from hiflow_ase._molecule import Molecule

# Steps of the energy, in kT, that are too small to matter.
_LOST = 0.05


@final
class AseEnergy(AbstractEnergy):
    r"""$V(x) = E(x) / k_B T$ with the energy $E$ of an isolated molecule from an ASE calculator.

    An event holds positions in Å, `(atoms, 3)`, in the order of `atoms`, which `species` tells. The
    calculator runs on the host in double precision, one geometry after the other, as
    [`HostEnergy`][hiflow.energies.HostEnergy] has it; it may be anything that gives energies and
    forces. First derivatives are its forces. Second derivatives are central differences of forces, with
    two force calculations per direction: `hessian(x)` takes `6 * atoms` of them, a Hessian–vector
    product by `jax.jvp` or `jax.vjp` of a gradient takes two. What was calculated for a geometry is
    kept for a while, and not calculated again. Third derivatives raise `ValueError`.

    Atoms of one element are taken as interchangeable. Where the calculator gives a free energy (of
    smeared electrons), that is $E$: the forces are its derivatives. Where it gives no finite energy, as
    for atoms that overlap, $V$ is infinite.

    **Arguments:**

    - `atoms`: an `ase.Atoms`, the name of a molecule that `ase.build.molecule` knows, or a file for
      `ase.io.read`. Its positions are tried once; its own calculator isn't used.
    - `calculator`: an ASE calculator, or its name in ASE, such as `"emt"` or `"lj"`, or of another
      package `"module:Class"`, such as `"tblite.ase:TBLite"`.
    - `calculator_options`: keywords for the calculator of that name.
    - `temperature`: in K.
    - `displacement`: in Å; no atom moves further for a finite difference. Use 0.01 for a calculator
      whose forces are noisy, such as electronic structure or single-precision networks;
      `difference_error(x)` says how good it is. It is stored in single precision, to which the checks
      of `hiflow.testing` then hold the energy: finite differences are no better.
    - `frame`: which of a file's frames the molecule is, from 0; needed if it holds several.
    - `identity`: a name for what the calculator computes, its version and settings included. With one,
      samples and anchors may be cached on disk.

    **Raises:** `ValueError` for a molecule, a file or a calculator that is unknown or can't be made;
    for periodic boundaries, constraints, or an element that the calculator lacks; for a
    `temperature` below 1 K or a `displacement` that isn't positive. `RuntimeError` if the calculator
    fails later, within a compiled program as JAX's subclass of it.
    """

    molecule: Molecule = eqx.field(static=True)
    surface: HostEnergy
    temperature: Float[Array, ""]

    def __init__(
        self,
        atoms: Atoms | str | os.PathLike[str],
        calculator: Any = "emt",
        calculator_options: Mapping[str, Any] | None = None,
        temperature: Any = 300.0,
        displacement: Any = 1e-3,
        frame: int | None = None,
        identity: str | None = None,
    ):
        self.temperature = _positive(temperature, "temperature", "K", jnp.result_type(float))
        _refuse_electronvolts(temperature)
        step = _positive(displacement, "displacement", "Å", jnp.float32)
        self.molecule = Molecule(
            as_atoms(atoms, frame), *as_calculator(calculator, calculator_options)
        )
        _warn_of_lost_digits(self.molecule.try_out(), self.temperature)
        shape = (len(self.molecule.atoms), 3)
        self.surface = HostEnergy(
            self.molecule.energy_and_forces, shape, _group(self.molecule.atoms),
            displacement=step, label=f"AseEnergy: {self.molecule!r}", identity=identity,
        )  # fmt: skip

    @classmethod
    def example(cls) -> "AseEnergy":
        """Water with effective medium theory at 300 K, as `hiflow check ase` takes."""
        return cls("H2O", calculator="emt", temperature=300.0)

    @property
    def atoms(self) -> Atoms:
        """A copy of the molecule, with the positions that it was given with and no calculator."""
        return self.molecule.atoms.copy()

    @property
    def species(self) -> tuple[int, ...]:
        """The atomic numbers, in the order of an event's positions."""
        return tuple(self.molecule.atoms.numbers.tolist())

    @property
    def units(self) -> Units:
        """The temperature, and Å."""
        # As it was written: the shortest number that rounds to it in its precision.
        return Units(float(str(np.asarray(self.temperature))), "Å")

    @property
    def displacement(self) -> Float[Array, ""]:
        """The step of finite differences, in Å."""
        return self.surface.displacement

    @property
    def event_shape(self) -> tuple[int, int]:
        """`(atoms, 3)`."""
        return (len(self.molecule.atoms), 3)

    @property
    def group(self) -> Product:
        """Permutations of atoms of one element, rotations with reflections, and translations."""
        return _group(self.molecule.atoms)

    def __call__(self, x: Float[Array, "atoms 3"]) -> Float[Array, ""]:
        x = as_event(self, x)
        return self.surface(x) / self._kT(x)

    def hessian(self, x: Float[Array, "atoms 3"]) -> Float[Array, "dim dim"]:
        r"""$\nabla^2 V(x)$ in 1/Å² over the flattened event: central differences, symmetrised."""
        x = as_event(self, x)
        return self.surface.hessian(x) / self._kT(x)

    def difference_error(
        self, x: Float[Array | np.ndarray, "atoms 3"], displacement: float | None = None
    ) -> DifferenceError:
        """How far `hessian(x)` is from the Hessian, in eV/Å², estimated from two steps (in Å):
        [`HostEnergy.difference_error`][hiflow.energies.HostEnergy.difference_error]."""
        return self.surface.difference_error(x, displacement)

    def _kT(self, x: Array) -> Float[Array, ""]:
        """In eV, in the event's precision."""
        return (units.kB * self.temperature).astype(x.dtype)


def _group(atoms: Atoms) -> Product:
    species = tuple(atoms.numbers.tolist())
    return Product((Permutation(species), Rotation(3, reflections=True), Translation()))


def _warn_of_lost_digits(energy: float, temperature: Any) -> None:
    """Total energies, of all electrons, are large numbers of which small differences count."""
    dtype = jnp.result_type(float)
    step = abs(energy) * float(jnp.finfo(dtype).eps)
    if isinstance(temperature, Tracer) or step <= _LOST * units.kB * float(temperature):
        return
    warnings.warn(
        f"AseEnergy: of energies of {energy:.6g} eV {dtype} keeps steps of "
        f"{step / (units.kB * float(temperature)):.2g} kT, which weights and densities then have for "
        "noise; forces are good. Say jax.config.update('jax_enable_x64', True), or subtract a constant "
        "in the calculator.",
        stacklevel=3,
    )


def _refuse_electronvolts(temperature: Any) -> None:
    if not isinstance(temperature, Tracer) and float(temperature) < 1:
        raise ValueError(
            f"AseEnergy: `temperature` is in K, not eV, and must be at least 1, got {temperature}. "
            f"As kT in eV that would be {float(temperature) / units.kB:.1f} K."
        )


def _positive(value: Any, name: str, unit: str, dtype: Any) -> Float[Array, ""]:
    """To a scalar array; a value that is traced can't be looked at."""
    if not isinstance(value, Tracer):
        try:
            number = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            number = np.asarray(np.nan)
        if number.shape != () or not (np.isfinite(number) and number > 0):
            raise ValueError(
                f"AseEnergy: `{name}` must be a positive, finite number, got {value!r}. Give it "
                f"in {unit}."
            )
    return jnp.asarray(value, dtype)
