"""What a network sees of the time: a few smooth features of t in [0, 1]."""

import jax.numpy as jnp
from jaxtyping import Array, Float

FREQUENCIES = 4
TIME_FEATURES = 1 + 2 * FREQUENCIES


def time_features(t: Float[Array, ""]) -> Float[Array, " features"]:
    r"""$(2t - 1,\ \cos \pi k t,\ \sin \pi k t)$ for $k = 1, \dots, 4$: smooth, bounded by 1, and
    different at $t = 0$ and $t = 1$."""
    phase = jnp.pi * jnp.arange(1, FREQUENCIES + 1, dtype=t.dtype) * t
    return jnp.concatenate([2 * t[None] - 1, jnp.cos(phase), jnp.sin(phase)])
