"""A feature of every particle that tells its surroundings from their mirror image."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class Handedness(eqx.Module):
    r"""$q_i = \det(p_i A) / \sqrt{1 + \det(p_i A)^2}$ of a particle's pair vectors $p_i$, one per
    channel, of which $A$ mixes as many as space has dimensions: the triple product of three vectors.

    Rotations leave it alone, reflections change its sign. It is smooth and bounded, and enters the
    features by the weights $w$ as $w\,q_i$.
    """

    axes: Float[Array, "width dim"]
    weight: Float[Array, " width"]

    def __init__(self, width: int, dim: int, *, key: PRNGKeyArray):
        k_axes, k_weight = jax.random.split(key)
        self.axes = 8 / math.sqrt(width) * jax.random.normal(k_axes, (width, dim))
        self.weight = jax.random.normal(k_weight, (width,))

    def __call__(self, vector: Float[Array, "i dim width"]) -> Float[Array, " i"]:
        # Of these a small determinant is made, also where training rounds other products.
        with jax.default_matmul_precision("highest"):
            a = vector @ self.axes
        if a.shape[-1] == 2:
            volume = a[:, 0, 0] * a[:, 1, 1] - a[:, 1, 0] * a[:, 0, 1]
        else:
            volume = (a[..., 0] * jnp.cross(a[..., 1], a[..., 2])).sum(-1)
        return volume * jax.lax.rsqrt(1 + volume**2)

    def with_slope(
        self, vector: Float[Array, "i dim width"]
    ) -> tuple[Float[Array, " i"], Float[Array, "i dim width"]]:
        r"""$q_i$ and $\partial q_i / \partial p_i$."""
        q, pull = jax.vjp(self, vector)
        (slope,) = pull(jnp.ones_like(q))
        return q, slope
