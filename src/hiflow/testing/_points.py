"""Where components are checked: random draws that were relaxed, so that no energy overflows."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow.energies import AbstractEnergy
from hiflow.groups import AbstractGroup
from hiflow.testing._compiled import compiled

T = TypeVar("T")


def relaxed_points(
    energy: AbstractEnergy, key: PRNGKeyArray, n: int, *, steps: int = 60
) -> Float[Array, "n *event"]:
    """`n` standard normal draws, each taken downhill in energy for a number of steps.

    The steps have an adapted length and are only taken if the energy falls, so stiff energies such
    as Lennard-Jones are safe. The points lie in the image of `energy.group.project` and are, in
    general, not stationary.

    **Example:**

    ```pycon
    >>> argon = hf.energies.LennardJones.preset("lj13")
    >>> x = hf.testing.relaxed_points(argon, key, 4)
    >>> x.shape, bool((jax.vmap(argon)(x) < 1e3).all())
    ((4, 13, 3), True)
    ```
    """
    return _relax(energy, jax.random.normal(key, (n, *energy.event_shape)), steps)


@compiled
def _relax(energy: AbstractEnergy, x: Array, steps: int) -> Array:
    @jax.vmap
    def value_and_direction(x: Array) -> tuple[Array, Array]:
        value, gradient = jax.value_and_grad(energy)(x)
        norm = jnp.sqrt(jnp.sum(gradient**2))
        return value, gradient / jnp.maximum(norm, 1e-12)

    def step(state: PyTree, _: None) -> tuple[PyTree, None]:
        x, value, direction, length = state
        trial = x - _over(length, x) * direction
        trial_value, trial_direction = value_and_direction(trial)
        better = trial_value < value
        return (
            jnp.where(_over(better, x), trial, x),
            jnp.where(better, trial_value, value),
            jnp.where(_over(better, x), trial_direction, direction),
            jnp.where(better, 1.2, 0.5) * length,
        ), None

    x = jax.vmap(energy.group.project)(x)
    start = (x, *value_and_direction(x), jnp.full(x.shape[0], 0.3))
    return jax.vmap(energy.group.project)(jax.lax.scan(step, start, length=steps)[0][0])


def _over(values: Array, x: Array) -> Array:
    return values.reshape(-1, *[1] * (x.ndim - 1))


def free_directions(group: AbstractGroup, x: Array) -> Float[Array, "dim free"]:
    """An orthonormal basis of the image of `group.project`."""
    null = group.null_modes(x)
    if null.shape[1] == 0:
        return jnp.eye(x.size, dtype=x.dtype)
    return jnp.linalg.qr(null, mode="complete")[0][:, null.shape[1] :]


def everywhere(function: Callable[..., T], anchors: PyTree, times: Array, x0: Array) -> T:
    """`function(anchor, t, x0)` for all of them: axes (anchor, time, sample)."""
    return jax.vmap(
        lambda anchor: jax.vmap(lambda t: jax.vmap(lambda x: function(anchor, t, x))(x0))(times)
    )(anchors)
