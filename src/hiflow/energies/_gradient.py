"""Whether an energy's gradient is finite where its value is."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._programs import compiled
from hiflow.energies._base import AbstractEnergy
from hiflow.energies._host_naming import naming_points

GRADIENT_CURE = (
    "Likely a square root or norm of something that is 0, such as the distance of a particle to itself: "
    "its slope is infinite. Leave the pairs i = j out (jnp.triu_indices), or add 1e-12 under the root."
)


def refuse_bad_gradient(
    energy: AbstractEnergy, x: Float[Array, "n *event"], subject: str, *, kind: str
) -> None:
    """Raise `ValueError` unless energy and gradient are finite at all points.

    **Arguments:**

    - `subject`: who refuses.
    - `kind`: of the points, in words.
    """
    with naming_points(x):
        value, gradient = jax.block_until_ready(_value_and_gradient(energy, x))
    name = type(energy).__name__
    for what, array in (("energy", value), ("gradient", gradient)):
        bad = ~jnp.isfinite(array).reshape(x.shape[0], -1).all(axis=1)
        if bad.any():
            first = int(jnp.argmax(bad))
            cure = (
                "Remove them, or look at the energy there." if what == "energy" else GRADIENT_CURE
            )
            raise ValueError(
                f"{subject}: the {what} of {name} isn't finite at {int(bad.sum())} of {bad.size} "
                f"{kind}, first at index {first}. {cure}"
            )


@compiled()
def _value_and_gradient(
    energy: AbstractEnergy, x: Float[Array, "n *event"]
) -> tuple[Float[Array, " n"], Float[Array, "n *event"]]:
    return jax.lax.map(jax.value_and_grad(energy), x, batch_size=min(x.shape[0], 1024))
