"""Rotations about bonds: moves that take a chain over a torsional barrier in one step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hiflow_openmm._energy import OpenMMEnergy
from hiflow_openmm._geometry import neighbours
from hiflow_openmm._terms import Torsions

# In kT: a bond that the force field holds this firmly is a double bond's, such as an amide's.
_STIFF = 25.0


class Rotors(NamedTuple):
    """The bonds that may be turned."""

    bonds: Int[np.ndarray, "rotors 2"]
    sides: Bool[np.ndarray, "rotors atoms"]
    """The atoms that turn with each, the fewer."""


def rotors(energy: OpenMMEnergy) -> Rotors:
    """Single bonds that are in no ring and have further atoms on both sides. Those whose torsional
    barrier is more than 25 kT are left out: turning an amide would mix cis into trans, which thermal
    motion doesn't."""
    near = neighbours(energy)
    held = _barriers(energy)
    bonds, sides = [], []
    for j, k in energy.bonds:
        if len(near[j]) < 2 or len(near[k]) < 2 or held.get((j, k), 0.0) > _STIFF:
            continue
        side = _behind(near, j, k)
        if j in side:
            continue
        if 2 * len(side) > len(near):
            j, k, side = k, j, _behind(near, k, j)
        bonds.append((j, k))
        sides.append([atom in side for atom in range(len(near))])
    number = len(near)
    return Rotors(
        np.asarray(bonds, int).reshape(-1, 2), np.asarray(sides, bool).reshape(-1, number)
    )


def turned(
    x: Float[Array, "atoms 3"],
    bond: Int[Array, "2"],
    side: Bool[Array, " atoms"],
    angle: Float[Array, ""],
) -> Float[Array, "atoms 3"]:
    """The atoms of `side` rotated about the bond (Rodrigues): distances on either side stay, and so
    does volume."""
    origin = x[bond[0]]
    axis = x[bond[1]] - origin
    axis = axis / jnp.linalg.norm(axis)
    y = x - origin
    along = jnp.sum(y * axis, axis=1, keepdims=True) * axis
    y = jnp.cos(angle) * (y - along) + jnp.sin(angle) * jnp.cross(axis[None], y) + along
    return jnp.where(side[:, None], origin + y, x)


def turn(
    energy: Any, rotors: Rotors, key: PRNGKeyArray, x: Float[Array, "atoms 3"], value: Array
) -> tuple[Float[Array, "atoms 3"], Float[Array, ""]]:
    """One Metropolis move about a random bond by a random angle, of a point with this energy."""
    key_bond, key_angle, key_accept = jax.random.split(key, 3)
    at = jax.random.randint(key_bond, (), 0, len(rotors.bonds))
    angle = jax.random.uniform(key_angle, (), x.dtype, -np.pi, np.pi)
    proposed = turned(x, jnp.asarray(rotors.bonds)[at], jnp.asarray(rotors.sides)[at], angle)
    new = energy(proposed)
    accept = jnp.log(jax.random.uniform(key_accept, (), x.dtype)) < value - new
    return jnp.where(accept, proposed, x), jnp.where(accept, new, value)


def _barriers(energy: OpenMMEnergy) -> dict[tuple[int, int], float]:
    """About each bond, the height of its torsions' barriers if they all add up."""
    found: dict[tuple[int, int], float] = {}
    for term in energy.bonded:
        if isinstance(term, Torsions):
            heights = 2 * np.hypot(np.asarray(term.cosine), np.asarray(term.sine)).sum(0)
            for (_, j, k, _), height in zip(term.atoms, heights, strict=True):
                bond = (min(j, k), max(j, k))
                found[bond] = found.get(bond, 0.0) + float(height)
    return found


def _behind(near: list[list[int]], j: int, k: int) -> set[int]:
    """The atoms that can be reached from `k` without its bond to `j`; `j` is among them in a ring."""
    seen, front = {k}, [k]
    while front:
        atom = front.pop()
        for i in near[atom]:
            if i not in seen and (atom, i) != (k, j):
                seen.add(i)
                front.append(i)
    return seen
