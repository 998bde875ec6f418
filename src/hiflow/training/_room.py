"""Whether a batch fits into memory at all."""

import math

import jax
import jax.numpy as jnp

from hiflow.paths._memory import free_bytes

# A pair, the point between them and its velocity: what every step holds at the least.
_HELD = 4


def refuse_a_batch_without_room(batch_size: int, event_shape: tuple[int, ...]) -> None:
    """**Raises:** `ValueError` where the points of one batch take more memory than is free on all
    devices; what the network holds comes on top."""
    width = jnp.result_type(float).itemsize
    needed = _HELD * width * batch_size * math.prod(event_shape)
    free = free_bytes() * jax.device_count()
    if needed > free:
        raise ValueError(
            f"`batch_size` {batch_size} of events {event_shape} takes at least {needed / 1e9:.3g} GB, "
            f"and {free / 1e9:.3g} GB are free. Take a smaller one."
        )
