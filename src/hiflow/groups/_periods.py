"""Coordinates that come back to themselves after a period, as joints that turn all the way round."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from hiflow.groups._base import AbstractGroup, SupportsPeriods
from hiflow.groups._product import Product


def periods_of(group: AbstractGroup, event_shape: tuple[int, ...]) -> Float[Array, "*event"] | None:
    """Every coordinate's period, infinite where it has none; `None` for a group without any."""
    if (turns := turns_of(group)) is None:
        return None
    with jax.ensure_compile_time_eval():
        periods = jnp.asarray(turns.periods(event_shape))
    endless = not isinstance(periods, Tracer) and not np.isfinite(periods).any()
    return None if endless else periods


def turns_of(group: AbstractGroup) -> SupportsPeriods | None:
    """The group, or the factor of a product, that shifts coordinates by whole periods."""
    factors = group.groups if isinstance(group, Product) else (group,)
    return next((each for each in factors if isinstance(each, SupportsPeriods)), None)


def within_a_period(group: AbstractGroup, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
    """`x`, or a difference of events, with every coordinate of period $L$ in $[-L/2, L/2]$."""
    if (periods := periods_of(group, x.shape)) is None:
        return x
    return x - jnp.where(jnp.isfinite(periods), periods, 0) * jnp.round(x / periods)


def virial(
    group: AbstractGroup,
    x: Float[Array, "*event"],
    gradient: Float[Array, "*event"],
    origin: ArrayLike = 0.0,
) -> Float[Array, ""]:
    r"""What has the number of free dimensions as its mean over samples of $e^{-V}$: $Px \cdot \nabla V$.

    A coordinate of period $L = 2\pi/\omega$ is no function on its circle, and the parts of its integral
    leave the density at the seam over. There it is $\omega^{-1}\sin(\omega y)\,\partial_iV + 1 -
    \cos(\omega y)$, with $y$ from an `origin`, which is the same for small $y$.
    """
    x = group.project(x)
    if (periods := periods_of(group, x.shape)) is None:
        return jnp.vdot(x, gradient)
    wave = 2 * jnp.pi / periods  # 0 without a period
    y = wave * (x - origin)
    turning = jnp.sin(y) / jnp.where(wave > 0, wave, 1) * gradient + 1 - jnp.cos(y)
    return jnp.sum(jnp.where(wave > 0, turning, x * gradient))


def circular_mean(
    group: AbstractGroup, x: Float[Array, "n *event"]
) -> Float[Array, "*event"] | float:
    """Of every coordinate that has a period, in the middle of what lies around it; 0 of others."""
    if (periods := periods_of(group, x.shape[1:])) is None:
        return 0.0
    y = 2 * jnp.pi * x / periods
    angle = jnp.atan2(jnp.mean(jnp.sin(y), axis=0), jnp.mean(jnp.cos(y), axis=0))
    return jnp.where(jnp.isfinite(periods), periods, 0) * angle / (2 * jnp.pi)


def reference_measure(group: AbstractGroup, event_shape: tuple[int, ...]) -> str:
    """In words, the measure that densities on events of this shape refer to.

    **Example:**

    ```pycon
    >>> hf.groups.reference_measure(hf.groups.Translation(), (13, 3))
    'Lebesgue measure on the 36-dimensional image of Translation.project in R^39'
    ```
    """
    x = jnp.zeros(event_shape)
    free = x.size - group.null_modes(x).shape[1]
    if periods_of(group, event_shape) is not None:
        return f"Lebesgue measure on R^{free}, one period of every periodic coordinate"
    if free == x.size:
        return f"Lebesgue measure on R^{free}"
    return (
        f"Lebesgue measure on the {free}-dimensional image of {type(group).__name__}.project in "
        f"R^{x.size}"
    )
