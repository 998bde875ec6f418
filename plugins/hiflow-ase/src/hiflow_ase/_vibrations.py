"""Where a molecule rests and how it vibrates there."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from ase.optimize import BFGS
from hiflow.energies import vibrations, wave_numbers
from jaxtyping import Array, Float

from hiflow_ase._energy import AseEnergy

# Beside the largest frequency, what differences of forces can't tell from 0.
_FLAT = 1e-3
# How far a saddle is left along the way down, in Å for the atom that moves furthest, and how often.
_PUSH = 0.1
_SADDLES = 10


def frequencies(
    energy: AseEnergy, x: Float[Array | np.ndarray, "atoms 3"]
) -> Float[np.ndarray, " dim"]:
    r"""Harmonic frequencies at `x` in cm⁻¹, ascending: of the Hessian $M^{-1/2} H M^{-1/2}$ with the
    masses of `energy.atoms`.

    All `3 * atoms` of them: at a minimum, those of translations and rotations are near 0.
    Imaginary ones come as negative numbers. Takes `6 * atoms` force calculations, in float64.

    **Arguments:**

    - `energy`: the molecule and its calculator; the temperature has no part in it.
    - `x`: positions in Å, concrete ones: this function can't be traced.

    **Raises:** `ValueError` for an `x` of another shape; `RuntimeError` if the calculator fails.
    """
    root = np.sqrt(np.repeat(energy.molecule.atoms.get_masses(), 3))
    hessian = _hessian(energy, _positions(energy, x)) / energy.units.kT("eV")
    return wave_numbers(np.linalg.eigvalsh(hessian / np.outer(root, root)), energy.units)


def relax(
    energy: AseEnergy, x: Float[Array | np.ndarray, "atoms 3"], fmax: float = 1e-3, steps: int = 500
) -> Float[Array, "atoms 3"]:
    """The minimum of the energy that `ase.optimize.BFGS` reaches from `x`, in Å and `x`'s dtype.

    Where it comes to rest the vibrations are looked at, for `6 * atoms` force calculations. From a
    saddle, as symmetric starts lead to, it goes on downhill along the vibration of the most negative
    curvature, until none is negative (to a thousandth of the largest frequency).

    **Arguments:**

    - `energy`: the molecule and its calculator.
    - `x`: positions in Å, concrete ones: this function can't be traced.
    - `fmax`: the largest force on any atom that is left, in eV/Å.
    - `steps`: the most steps to take, in all.

    **Raises:** `ValueError` for an `x` of another shape or an `fmax` that isn't positive;
    `RuntimeError` if the steps don't suffice, if it comes from saddle to saddle, or if the calculator
    fails.
    """
    if not fmax > 0:
        raise ValueError(f"relax: `fmax` must be positive, got {fmax}. Give it in eV/Å.")
    positions = _positions(energy, x)
    for _ in range(_SADDLES):
        positions, taken = _rest(energy, positions, fmax, steps)
        steps -= taken
        down = _way_down(energy, positions)
        if down is None:
            return jnp.asarray(positions, jnp.result_type(x, jnp.float32))
        either = (positions + down, positions - down)
        positions = min(either, key=lambda side: energy.molecule.energy_and_forces(side)[0])
    raise RuntimeError(
        f"relax: {_SADDLES} saddles, one after the other, and no minimum. Lower `fmax`, raise the "
        "energy's `displacement`, or start from another geometry."
    )


def _rest(
    energy: AseEnergy, x: np.ndarray, fmax: float, steps: int
) -> tuple[Float[np.ndarray, "atoms 3"], int]:
    """A geometry without forces, and the steps that it took."""
    with energy.molecule.lock:
        atoms = energy.molecule.at(x)
        search = BFGS(atoms, logfile=None)
        converged = search.run(fmax=fmax, steps=max(steps, 0))
    if not converged:
        raise RuntimeError(
            f"relax: a force above {fmax} eV/Å is left after {search.nsteps} steps. Start nearer to a "
            "minimum, or raise `steps` or `fmax`."
        )
    return atoms.positions, search.nsteps


def _way_down(energy: AseEnergy, x: np.ndarray) -> Float[np.ndarray, "atoms 3"] | None:
    """A step along the vibration of the most negative curvature, if there is one."""
    squares, directions = vibrations(
        _hessian(energy, x), x, masses=energy.molecule.atoms.get_masses()
    )
    if len(squares) == 0 or squares[0] >= -(_FLAT**2) * np.abs(squares).max():
        return None
    return directions[0] * (_PUSH / np.linalg.norm(directions[0], axis=1).max())


def _hessian(energy: AseEnergy, x: np.ndarray) -> Float[np.ndarray, "dim dim"]:
    """In eV/Å²."""
    (hessian,) = energy.surface.host.hessian(x, np.asarray(energy.displacement, np.float64))
    return hessian


def _positions(energy: AseEnergy, x: Any) -> Float[np.ndarray, "atoms 3"]:
    x = np.asarray(x, np.float64)
    if x.shape != energy.event_shape or not np.isfinite(x).all():
        raise ValueError(
            f"`x` must be finite positions of shape {energy.event_shape}, got shape {x.shape}. Give "
            "one geometry in Å."
        )
    return x
