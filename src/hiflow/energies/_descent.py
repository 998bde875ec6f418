"""Going downhill on an energy: to the minimum, and roughly, from points that are far from any."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float

from hiflow.energies._base import AbstractEnergy
from hiflow.energies._gradient import GRADIENT_CURE


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

    **Raises:** `RuntimeError`, when it runs, where the energy is finite and its gradient isn't: the
    search would stay there and look like a minimum.
    """

    def value(y: Array, _: object) -> Array:
        return energy(y)

    solver = optx.BFGS(tolerance, tolerance, norm=optx.rms_norm)
    # No gradient through the search: minima are data, as spectra are.
    start = _with_gradient(energy, jax.lax.stop_gradient(x))
    return optx.minimise(value, solver, start, max_steps=steps, throw=False).value


def _with_gradient(energy: AbstractEnergy, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
    value, gradient = jax.value_and_grad(energy)(x)
    bad = jnp.isfinite(value) & ~jnp.isfinite(gradient).all()
    name = type(energy).__name__
    return eqx.error_if(x, bad, f"quench: the gradient of {name} isn't finite. {GRADIENT_CURE}")


def relax(
    energy: AbstractEnergy, x: Float[Array, "*event"], *, steps: int = 300
) -> Float[Array, "*event"]:
    """A point well downhill of `x`, by steps of a fixed length along the gradient that grow by a fifth
    when the energy falls, and are halved and taken back when it doesn't.

    For one event. From overlapping particles, where `quench`'s model of the curvature leads it
    nowhere, this gets down; near a minimum it is the slower of the two.
    """
    value_and_grad = jax.value_and_grad(energy)

    def step(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], None]:
        x, v, g, length = carry
        norm = jnp.sqrt(jnp.sum(g**2))
        x_new = x - length * g / jnp.maximum(norm, 1e-12)
        v_new, g_new = value_and_grad(x_new)
        better = v_new < v
        x, v, g = (jnp.where(better, new, old) for new, old in ((x_new, x), (v_new, v), (g_new, g)))
        return (x, v, g, jnp.where(better, 1.2 * length, 0.5 * length)), None

    start = (x, *value_and_grad(x), jnp.asarray(0.1, x.dtype))
    return jax.lax.scan(step, start, None, length=steps)[0][0]
