"""An energy of one's own."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import hiflow as hf


class Banana(hf.energies.AbstractEnergy):
    r"""$V(x) = x_0^2/2 + b\,(x_1 - x_0^2)^2$ in the plane, in units of kT: a bent valley.

    **Arguments:**

    - `steepness`: $b$, how narrow the valley is.

    **Raises:** `ValueError` if `steepness` isn't positive.
    """

    # A float array, converted on entry: a Python float would be static, a NumPy array trainable.
    steepness: Float[Array, ""] = eqx.field(
        converter=partial(jnp.asarray, dtype=float), default=5.0
    )

    # What every energy has: the shape of one event, and what leaves it invariant.
    event_shape = (2,)
    group = hf.groups.LinearRepresentation([[-1.0, 0.0], [0.0, 1.0]])

    def __check_init__(self):
        if self.steepness <= 0:
            raise ValueError(f"Banana: `steepness` must be positive, got {self.steepness}.")

    def __call__(self, x: Float[Array, "2"]) -> Float[Array, ""]:
        return x[0] ** 2 / 2 + self.steepness * (x[1] - x[0] ** 2) ** 2

    # Optional: exact samples. `check_energy` finds the method and tests it.
    def sample(self, key: jax.Array) -> Float[Array, "2"]:
        """One exact sample."""
        a, b = jax.random.normal(key, (2,))
        return jnp.stack([a, a**2 + b / jnp.sqrt(2 * self.steepness)])
