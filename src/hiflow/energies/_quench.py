"""Quenching: the minimum of an energy that lies downhill of a point."""

from typing import Any

import jax
import optimistix as optx
from jaxtyping import Array, Float

from hiflow.energies._base import AbstractEnergy


def quench(
    energy: AbstractEnergy,
    x: Float[Array, "*event"],
    *,
    steps: int = 500,
    tolerance: float = 1e-4,
) -> Float[Array, "*event"]:
    """The minimum that BFGS with a backtracking line search reaches from `x`: the point's inherent
    structure (Stillinger and Weber, Phys. Rev. A 25, 978, 1982).

    For one event; vmap it over points. It moves with orthogonal symmetries, but a point near the border
    of two basins may fall to either side by rounding alone.

    **Arguments:**

    - `energy`: bounded below, in kT.
    - `steps`: the largest number of BFGS steps; where they don't suffice, the last point is returned.
    - `tolerance`: the search ends when point and energy change by less than this, absolutely plus
      relatively (root mean square over coordinates).
    """

    def value(y: Array, _: Any) -> Array:
        return energy(y)

    solver = optx.BFGS(tolerance, tolerance, norm=optx.rms_norm)
    # No gradient through the search: minima are data, as spectra are.
    start = jax.lax.stop_gradient(x)
    return optx.minimise(value, solver, start, max_steps=steps, throw=False).value
