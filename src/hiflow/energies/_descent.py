"""Going downhill on an energy: to the minimum, and roughly, from points that are far from any."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hiflow.energies._base import AbstractEnergy
from hiflow.energies._gradient import GRADIENT_CURE
from hiflow.energies._lanes import Settings, minimise


def quench(
    energy: AbstractEnergy,
    x: Float[Array, "*event"],
    *,
    steps: int = 500,
    tolerance: float = 1e-4,
) -> Float[Array, "*event"]:
    """The minimum that L-BFGS with a backtracking line search reaches from `x`: the point's inherent
    structure (Stillinger and Weber, Phys. Rev. A 25, 978, 1982).

    For one event; vmap it over points, which are then searched for in lanes: one that has arrived makes
    room for the next, so that none waits for the slowest. No step is more than twice as long as the one
    before, so most searches stay in the basin of steepest descent. They move with orthogonal symmetries
    and don't depend on where the origin is, but a point near the border of two basins may fall to either
    side by rounding alone.

    **Arguments:**

    - `energy`: bounded below, in kT.
    - `steps`: the largest number of evaluations; where they don't suffice, the last point is returned.
    - `tolerance`: the search ends when the next full step would be shorter than this (root mean square
      over coordinates, absolutely plus relatively to the way made) and lower the energy by less than
      this, in kT.

    **Raises:** `RuntimeError`, when it runs, where the energy is finite and its gradient isn't: the
    search would stay there and look like a minimum.

    **Example:**

    ```pycon
    >>> well = hf.energies.DoubleWell()
    >>> hf.energies.quench(well, jnp.array([1.0, 0.5])).round(2)
    Array([1.5, 0. ], dtype=float32)
    >>> lane = jax.vmap(lambda x: hf.energies.quench(well, x))(points[:5])
    >>> jnp.abs(lane[:, 0]).round(2)
    Array([1.5, 1.5, 1.5, 1.5, 1.5], dtype=float32)
    ```
    """
    # Free of translations: far from the origin single precision has no digits left for a minimum.
    centred = energy.group.project(x)
    # With the arrays that it closes over as its leaves, so that vmap sees all that varies.
    closed = eqx.filter_closure_convert(energy, centred)
    arrays, code = eqx.partition(closed, eqx.is_array)
    settings = Settings(steps, tolerance)

    @jax.custom_batching.custom_vmap
    def search(arrays: PyTree, points: Float[Array, "n *event"]) -> Float[Array, "n *event"]:
        return minimise(eqx.combine(arrays, code), points, settings)

    @search.def_vmap
    def _(size: int, batched: list[Any], arrays: PyTree, points: Array) -> tuple[Array, bool]:
        of_arrays, of_points = batched
        if any(jax.tree.leaves(of_arrays)) or not of_points:
            axes = jax.tree.map(lambda one: 0 if one else None, batched)
            return jax.vmap(search.fun, axes, axis_size=size)(arrays, points), True
        found = search(arrays, points.reshape(-1, *x.shape))
        return found.reshape(points.shape), True

    # No gradient through the search: minima are data, as spectra are.
    start = _with_gradient(energy, jax.lax.stop_gradient(centred))
    way = search(*jax.lax.stop_gradient((arrays, start[None])))[0]
    return x + energy.group.project(way)


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

    **Example:**

    ```pycon
    >>> argon = hf.energies.LennardJones.preset("lj13")
    >>> x = jax.random.normal(key, (13, 3)) * 0.3  # overlapping particles
    >>> float(argon(x)) > 1e5, float(argon(hf.energies.relax(argon, x))) < 0
    (True, True)
    ```
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
