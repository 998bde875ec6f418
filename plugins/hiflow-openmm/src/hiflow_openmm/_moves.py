"""Rotations about bonds: moves that take a chain over a torsional barrier in one step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hiflow_openmm._graph import Pairs, neighbours, side


def turn(
    energy: Callable[[Array], Array],
    turning: Pairs,
    sides: Bool[np.ndarray, "bonds atoms"],
    key: PRNGKeyArray,
    x: Float[Array, "atoms 3"],
    number: int,
) -> Float[Array, "atoms 3"]:
    """So many Metropolis moves about random bonds by random angles: where a molecule isn't folded, they
    go from one well to another without its ever being on the barrier."""
    bonds, behind = jnp.asarray(turning), jnp.asarray(sides)

    def once(carry: tuple[Array, Array], key: PRNGKeyArray) -> tuple[tuple[Array, Array], None]:
        x, value = carry
        key_bond, key_angle, key_accept = jax.random.split(key, 3)
        at = jax.random.randint(key_bond, (), 0, len(bonds))
        angle = jax.random.uniform(key_angle, (), x.dtype, -np.pi, np.pi)
        proposed = turned(x, bonds[at], behind[at], angle)
        new = energy(proposed)
        accept = jnp.log(jax.random.uniform(key_accept, (), x.dtype)) < value - new
        return (jnp.where(accept, proposed, x), jnp.where(accept, new, value)), None

    return jax.lax.scan(once, (x, energy(x)), jax.random.split(key, number))[0][0]


def sides(number: int, bonds: Pairs, turning: Pairs) -> Bool[np.ndarray, "bonds atoms"]:
    """The atoms behind the second of each bond that is turned."""
    near = neighbours(number, bonds)
    rows = [side(near, j, k) for j, k in turning]
    return np.array([[atom in row for atom in range(number)] for row in rows], bool)


def turned(
    x: Float[Array, "atoms 3"],
    bond: Int[Array, "2"],
    behind: Bool[Array, " atoms"],
    angle: Float[Array, ""],
) -> Float[Array, "atoms 3"]:
    """The atoms `behind` a bond rotated about it (Rodrigues): distances on either side stay, and so
    does volume."""
    origin = x[bond[0]]
    axis = x[bond[1]] - origin
    axis = axis / jnp.linalg.norm(axis)
    y = x - origin
    along = jnp.sum(y * axis, axis=1, keepdims=True) * axis
    y = jnp.cos(angle) * (y - along) + jnp.sin(angle) * jnp.cross(axis[None], y) + along
    return jnp.where(behind[:, None], origin + y, x)
