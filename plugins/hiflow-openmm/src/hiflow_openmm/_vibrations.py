"""Minima, normal modes and what the harmonic approximation makes of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float

from hiflow_openmm._energy import OpenMMEnergy

# In SI (exact since 2019) and its consequences for 1/ps, K and 1/cm.
_LIGHT = 2.99792458e-2  # cm/ps
_HBAR_OVER_K = 1.054571817e-34 / 1.380649e-23 * 1e12  # K ps


class NormalModes(NamedTuple):
    """The vibrations of a molecule about a point.

    - `wave_numbers`: ascending, in 1/cm, negative for imaginary ones; those of translations and
      rotations (six, or five for a linear molecule) aren't among them.
    - `directions`: `(vibrations, atoms, 3)`, how far each atom goes, orthonormal when weighted by the
      masses in Da.
    """

    wave_numbers: Float[np.ndarray, " vibrations"]
    directions: Float[np.ndarray, "vibrations atoms 3"]


class Thermodynamics(NamedTuple):
    """Of independent harmonic vibrations, in kT and k.

    - `free_energy`, `energy`: in kT, above the potential's minimum.
    - `entropy`: in k.
    """

    free_energy: float
    energy: float
    entropy: float


def minimum(
    energy: OpenMMEnergy, x: Any = None, *, steps: int = 2000
) -> Float[np.ndarray, "atoms 3"]:
    """The minimum downhill of `x`, or of `energy.positions`: every vibration has a positive curvature,
    and no force is above 1e-6 kT per unit of length. Centred, in float64.

    **Arguments:**

    - `steps`: evaluations of L-BFGS, after which Newton's steps polish.

    **Raises:** `RuntimeError` if that isn't reached.
    """
    with jax.enable_x64(True):
        point = np.asarray(energy._event(energy.positions if x is None else x), np.float64)
        value_and_slope, curvature = _functions(energy)
        for attempt in range(4):
            found = scipy.optimize.minimize(
                value_and_slope, point.ravel(), jac=True, method="L-BFGS-B",
                options={"maxiter": steps, "gtol": 1e-4, "ftol": 1e-14},
            )  # fmt: skip
            point = found.x
            for _ in range(8):
                slope = value_and_slope(point)[1]
                values, vectors = _vibrations(curvature(point), point)
                if values[0] <= 0:
                    break
                if np.abs(slope).max() < 1e-6:
                    point = point.reshape(energy.event_shape)
                    return point - point.mean(0)
                point = point - vectors @ ((vectors.T @ slope) / values)
            # A saddle, by symmetry: off it, to a side that doesn't matter.
            push = np.random.default_rng(attempt).normal(size=point.shape)
            point = point + 0.02 / energy.units.lengths_in("Å") * push
    raise RuntimeError(
        f"minimum: no minimum was found in {steps} steps. Start nearer to one, or raise `steps`."
    )


def normal_modes(energy: OpenMMEnergy, x: Any) -> NormalModes:
    """The normal modes at `x`, of the mass-weighted Hessian; translations and rotations are projected
    out (Eckart), which is exact at a minimum.

    **Raises:** `ValueError` for another shape.
    """
    with jax.enable_x64(True):
        point = np.asarray(energy._event(jnp.asarray(x, jnp.float64))).ravel()
        hessian = _functions(energy)[1](point)
        root = np.sqrt(np.repeat(energy.masses, 3))
        values, vectors = _vibrations(hessian / np.outer(root, root), point, energy.masses)
    per_length = energy.units.lengths_in("nm")
    # kT per length² and Da, in 1/ps².
    squares = values * energy.units.kT("kJ/mol") / per_length**2
    omega = np.sign(squares) * np.sqrt(np.abs(squares))
    directions = (vectors / root[:, None]).T.reshape(-1, *energy.event_shape)
    return NormalModes(omega / (2 * np.pi * _LIGHT), directions)


def thermodynamics(
    modes: NormalModes, temperature: float, *, quantum: bool = True
) -> Thermodynamics:
    r"""Of the modes as oscillators: with $u = \hbar\omega / kT$,
    $F = \sum \tfrac{u}{2} + \ln(1 - e^{-u})$ and $E = \sum \tfrac{u}{2} + u / (e^u - 1)$, or classically
    $F = \sum \ln u$ and $E = \sum 1$; $S = E - F$.

    **Arguments:**

    - `temperature`: in K; another than the energy's is allowed.

    **Raises:** `ValueError` for a mode that isn't a vibration, or a temperature that isn't positive.
    """
    if not temperature > 0:
        raise ValueError(f"thermodynamics: `temperature` must be positive, got {temperature!r}.")
    if not (modes.wave_numbers > 0).all():
        raise ValueError(
            f"thermodynamics: `modes` has {int((modes.wave_numbers <= 0).sum())} imaginary wave "
            "numbers: the point is no minimum. Use those at `minimum(energy)`."
        )
    u = _HBAR_OVER_K * 2 * np.pi * _LIGHT * modes.wave_numbers / temperature
    if quantum:
        free = np.sum(u / 2 + np.log(-np.expm1(-u)))
        mean = np.sum(u / 2 + u / np.expm1(u))
    else:
        free, mean = np.sum(np.log(u)), float(len(u))
    return Thermodynamics(float(free), float(mean), float(mean - free))


def _functions(energy: OpenMMEnergy) -> tuple[Callable[..., Any], Callable[..., np.ndarray]]:
    """Value with gradient, and Hessian, of flat positions in NumPy."""

    def flat(x: Array) -> Array:
        return energy(x.reshape(energy.event_shape))

    both, hessian = jax.jit(jax.value_and_grad(flat)), jax.jit(jax.hessian(flat))

    def value_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = both(x)
        return float(value), np.asarray(slope)

    return value_and_slope, lambda x: np.asarray(hessian(x))


def _vibrations(
    hessian: Float[np.ndarray, "dim dim"], x: Any, masses: Any = None
) -> tuple[Float[np.ndarray, " vibrations"], Float[np.ndarray, "dim vibrations"]]:
    """Eigenvalues and vectors in the space that is orthogonal to translations and rotations."""
    x = np.asarray(x, np.float64).reshape(-1, 3)
    weights = np.ones(len(x)) if masses is None else np.asarray(masses)
    x = x - np.average(x, axis=0, weights=weights)
    moves = [np.broadcast_to(axis, x.shape) for axis in np.eye(3)]
    moves += [np.cross(axis, x) for axis in np.eye(3)]
    rigid = np.stack([(np.sqrt(weights)[:, None] * move).ravel() for move in moves], axis=1)
    left, sizes, _ = np.linalg.svd(rigid / np.linalg.norm(rigid, axis=0).max())
    free = left[:, int((sizes > 1e-6).sum()) :]
    values, vectors = np.linalg.eigh(free.T @ hessian @ free)
    return values, free @ vectors
