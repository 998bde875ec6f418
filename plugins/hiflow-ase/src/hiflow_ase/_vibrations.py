"""Where a molecule rests and how it vibrates there."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from ase import units
from ase.optimize import BFGS
from jaxtyping import Array, Float

from hiflow_ase._energy import AseEnergy


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
    displacement = np.asarray(energy.displacement, np.float64)
    (hessian,) = energy.host.hessian(_positions(energy, x), displacement)
    root = np.repeat(np.sqrt(energy.host.atoms.get_masses()), 3)
    squares = np.linalg.eigvalsh(hessian / np.outer(root, root))
    quantum = units._hbar * 1e10 / math.sqrt(units._e * units._amu)  # ħ sqrt(eV / amu) / Å, in eV
    return np.sign(squares) * np.sqrt(np.abs(squares)) * quantum / units.invcm


def relax(
    energy: AseEnergy, x: Float[Array | np.ndarray, "atoms 3"], fmax: float = 1e-3, steps: int = 500
) -> Float[Array, "atoms 3"]:
    """The minimum of the energy that `ase.optimize.BFGS` reaches from `x`, in Å and `x`'s dtype.

    **Arguments:**

    - `energy`: the molecule and its calculator.
    - `x`: positions in Å, concrete ones: this function can't be traced.
    - `fmax`: the largest force on any atom that is left, in eV/Å.
    - `steps`: the most steps to take.

    **Raises:** `ValueError` for an `x` of another shape or an `fmax` that isn't positive;
    `RuntimeError` if the steps don't suffice or the calculator fails.
    """
    if not fmax > 0:
        raise ValueError(f"relax: `fmax` must be positive, got {fmax}. Give it in eV/Å.")
    with energy.host.lock:
        atoms = energy.host.at(_positions(energy, x))
        converged = BFGS(atoms, logfile=None).run(fmax=fmax, steps=steps)
    if not converged:
        raise RuntimeError(
            f"relax: a force above {fmax} eV/Å is left after {steps} steps. Start nearer to a minimum, "
            "or raise `steps` or `fmax`."
        )
    return jnp.asarray(atoms.positions, jnp.result_type(x, jnp.float32))


def _positions(energy: AseEnergy, x: Any) -> Float[np.ndarray, "atoms 3"]:
    x = np.asarray(x, np.float64)
    if x.shape != energy.event_shape or not np.isfinite(x).all():
        raise ValueError(
            f"`x` must be finite positions of shape {energy.event_shape}, got shape {x.shape}. Give "
            "one geometry in Å."
        )
    return x
