"""Minima, and the normal modes there."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import scipy.optimize
from hiflow.energies import NormalModes, as_event, vibrations
from hiflow.energies import normal_modes as modes_at
from jaxtyping import Array, Float

from hiflow_openmm._energy import OpenMMEnergy


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
        point = np.asarray(as_event(energy, energy.positions if x is None else x), np.float64)
        value_and_slope, curvature = _functions(energy)
        for attempt in range(4):
            found = scipy.optimize.minimize(
                value_and_slope, point.ravel(), jac=True, method="L-BFGS-B",
                options={"maxiter": steps, "gtol": 1e-4, "ftol": 1e-14},
            )  # fmt: skip
            point = found.x
            for _ in range(8):
                slope = value_and_slope(point)[1]
                values, directions = vibrations(curvature(point), point.reshape(energy.event_shape))
                if values[0] <= 0:
                    break
                if np.abs(slope).max() < 1e-6:
                    point = point.reshape(energy.event_shape)
                    return point - point.mean(0)
                vectors = directions.reshape(-1, point.size)
                point = point - ((vectors @ slope) / values) @ vectors
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
    return modes_at(energy, x, energy.masses)


def _functions(energy: OpenMMEnergy) -> tuple[Callable[..., Any], Callable[..., np.ndarray]]:
    """Value with gradient, and Hessian, of flat positions in NumPy."""

    def flat(x: Array) -> Array:
        return energy(x.reshape(energy.event_shape))

    both, hessian = jax.jit(jax.value_and_grad(flat)), jax.jit(jax.hessian(flat))

    def value_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = both(x)
        return float(value), np.asarray(slope)

    return value_and_slope, lambda x: np.asarray(hessian(x))
