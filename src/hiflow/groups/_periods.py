"""Coordinates that come back to themselves after a period, as joints that turn all the way round."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from hiflow.groups._base import AbstractGroup, SupportsPeriods


def within_a_period(group: AbstractGroup, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
    """`x`, or a difference of events, with every coordinate of period $L$ in $[-L/2, L/2]$."""
    if not isinstance(group, SupportsPeriods):
        return x
    periods = group.periods(x.shape)
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
    if not isinstance(group, SupportsPeriods):
        return jnp.vdot(x, gradient)
    periods = group.periods(x.shape)
    wave = 2 * jnp.pi / periods  # 0 without a period
    y = wave * (x - origin)
    turning = jnp.sin(y) / jnp.where(wave > 0, wave, 1) * gradient + 1 - jnp.cos(y)
    return jnp.sum(jnp.where(wave > 0, turning, x * gradient))


def circular_mean(
    group: AbstractGroup, x: Float[Array, "n *event"]
) -> Float[Array, "*event"] | float:
    """Of every coordinate that has a period, in the middle of what lies around it; 0 of others."""
    if not isinstance(group, SupportsPeriods):
        return 0.0
    periods = group.periods(x.shape[1:])
    y = 2 * jnp.pi * x / periods
    angle = jnp.atan2(jnp.mean(jnp.sin(y), axis=0), jnp.mean(jnp.cos(y), axis=0))
    return jnp.where(jnp.isfinite(periods), periods, 0) * angle / (2 * jnp.pi)
