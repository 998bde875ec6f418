"""What an energy is called with."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._checks import check_event
from hiflow._kinds import shown
from hiflow.energies._base import AbstractEnergy


def as_event(energy: AbstractEnergy, x: Any) -> Float[Array, "*event"]:
    """`x` as an array of floats, in its own precision, if it is an event of the energy.

    **Raises:** `ValueError` if it holds no real numbers, or hasn't the event shape.

    **Example:**

    ```pycon
    >>> class Spring(hf.energies.AbstractEnergy):
    ...     event_shape = (2,)
    ...     group = hf.groups.Trivial()
    ...     def __call__(self, x):
    ...         x = hf.energies.as_event(self, x)  # floats; another shape is refused
    ...         return jnp.sum(x**2)
    ...
    >>> Spring()(jnp.array([1, 2]))
    Array(5., dtype=float32)
    ```
    """
    owner = type(energy).__name__
    try:
        x = jnp.asarray(x)
    except (TypeError, ValueError):
        raise ValueError(f"{owner}: `x` must be an array of numbers, got {shown(x)}.") from None
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise ValueError(f"{owner}: `x` must be real, got {x.dtype}. Take x.real if that is meant.")
    check_event(x, energy.event_shape, owner=owner)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)
