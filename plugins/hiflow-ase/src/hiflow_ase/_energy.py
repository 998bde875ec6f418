"""The potential energy surface of an ASE calculator, in units of kT."""

import os
from collections.abc import Mapping
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from ase import Atoms, units
from hiflow.energies import AbstractEnergy
from hiflow.groups import Permutation, Product, Rotation, Translation
from jax.core import Tracer
from jaxtyping import Array, Float

from hiflow_ase import _callback
from hiflow_ase._host import Host
from hiflow_ase._inputs import as_atoms, as_calculator


@final
class AseEnergy(AbstractEnergy):
    r"""$V(x) = E(x) / k_B T$ with the energy $E$ of an isolated molecule from an ASE calculator.

    An event holds positions in Å, `(atoms, 3)`, in the order of `atoms`. The calculator runs on the
    host in double precision, one geometry after the other; it may be anything that gives energies
    and forces. First derivatives are its forces. Second derivatives are central differences of
    forces, with two force calculations per direction: `hessian(x)` takes `6 * atoms` of them,
    a Hessian–vector product by `jax.jvp` or `jax.vjp` of a gradient takes two. Third derivatives
    raise `ValueError`.

    Atoms of one element are taken as interchangeable. Where the calculator gives a free energy (of
    smeared electrons), that is $E$: the forces are its derivatives.

    **Arguments:**

    - `atoms`: an `ase.Atoms`, the name of a molecule that `ase.build.molecule` knows, or a file for
      `ase.io.read` (its last image). Its positions are tried once; its own calculator isn't used.
    - `calculator`: an ASE calculator, or its name in ASE, such as `"emt"` or `"lj"`.
    - `calculator_options`: keywords for the calculator of that name.
    - `temperature`: in K.
    - `displacement`: in Å; no atom moves further for a finite difference. Use 0.01 for a calculator
      whose forces are noisy, such as electronic structure or single-precision networks. It is
      stored in single precision, to which the checks of `hiflow.testing` then hold the energy:
      finite differences are no better.

    **Raises:** `ValueError` for a molecule, a file or a calculator that is unknown or can't be made;
    for periodic boundaries, constraints, or an element that the calculator lacks; for a
    `temperature` or `displacement` that isn't positive. `RuntimeError` if the calculator fails
    later, within a compiled program as JAX's subclass of it.
    """

    host: Host = eqx.field(static=True)
    temperature: Float[Array, ""]
    displacement: Float[Array, ""]

    def __init__(
        self,
        atoms: Atoms | str | os.PathLike[str],
        calculator: Any = "emt",
        calculator_options: Mapping[str, Any] | None = None,
        temperature: Any = 300.0,
        displacement: Any = 1e-3,
    ):
        self.temperature = _positive(temperature, "temperature", "K", jnp.result_type(float))
        self.displacement = _positive(displacement, "displacement", "Å", jnp.float32)
        self.host = Host(as_atoms(atoms), *as_calculator(calculator, calculator_options))
        self.host.try_out()

    @classmethod
    def example(cls) -> "AseEnergy":
        """Water with effective medium theory at 300 K, as `hiflow check ase` takes."""
        return cls("H2O", calculator="emt", temperature=300.0)

    @property
    def atoms(self) -> Atoms:
        """A copy of the molecule, with the positions that it was given with and no calculator."""
        return self.host.atoms.copy()

    @property
    def event_shape(self) -> tuple[int, int]:
        """`(atoms, 3)`."""
        return (len(self.host.atoms), 3)

    @property
    def group(self) -> Product:
        """Permutations of atoms of one element, rotations with reflections, and translations."""
        species = tuple(self.host.atoms.numbers.tolist())
        return Product((Permutation(species), Rotation(3, reflections=True), Translation()))

    def __call__(self, x: Float[Array, "atoms 3"]) -> Float[Array, ""]:
        x = self._event(x)
        return _callback.energy(self.host, self.displacement, x) / self._kT(x)

    def hessian(self, x: Float[Array, "atoms 3"]) -> Float[Array, "dim dim"]:
        r"""$\nabla^2 V(x)$ in 1/Å² over the flattened event: central differences, symmetrised."""
        x = self._event(x)
        return _callback.hessian(self.host, self.displacement, x) / self._kT(x)

    def _kT(self, x: Array) -> Float[Array, ""]:
        """In eV, in the event's precision."""
        return (units.kB * self.temperature).astype(x.dtype)

    def _event(self, x: Any) -> Array:
        x = jnp.asarray(x)
        if x.shape != self.event_shape:
            raise ValueError(
                f"AseEnergy: `x` must have the event shape {self.event_shape}, got {x.shape}. Use "
                "jax.vmap for a batch."
            )
        return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


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
