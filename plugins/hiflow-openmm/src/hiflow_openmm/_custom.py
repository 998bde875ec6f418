"""Forces by expressions: of bonds, angles and torsions, of pairs, and generalised Born models.

Inside, lengths are in nm and energies in kJ/mol, as the expressions are written for.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow_openmm._expressions import evaluate
from hiflow_openmm._terms import Atoms, bends, bond_lengths, turns

# In nm, as for Lennard-Jones pairs: nearer ones go on as their tangent.
CORE = 0.025
# In nm: a Born radius doesn't tell nearer ones apart.
CLOSE = 0.001


class CustomBonded(eqx.Module):
    """The sum over bonds of an expression in `r`, over angles or torsions in `theta`, and in each one's
    parameters."""

    atoms: Atoms = eqx.field(static=True)
    expression: str = eqx.field(static=True)
    parameters: dict[str, Float[Array, "..."]]
    tables: dict[str, Float[Array, "..."]]
    energy: Float[Array, ""]
    length: Float[Array, ""]
    """How many nm one unit of length is."""

    def __call__(self, x: Float[Array, "3 atoms"]) -> Float[Array, ""]:
        x = x * self.length
        measure = {2: ("r", bond_lengths), 3: ("theta", bends), 4: ("theta", turns)}
        name, of = measure[len(self.atoms[0])]
        at = of(x, self.atoms)
        found = evaluate(self.expression, {**self.parameters, name: at}, self.tables)
        return self.energy * jnp.sum(jnp.broadcast_to(found, at.shape))


class CustomPairs(eqx.Module):
    """The sum over pairs of an expression in `r` and in both atoms' parameters; without exclusions."""

    excluded: Atoms = eqx.field(static=True)
    expression: str = eqx.field(static=True)
    parameters: dict[str, Float[Array, " atoms"]]
    globals: dict[str, Float[Array, ""]]
    tables: dict[str, Float[Array, "..."]]
    energy: Float[Array, ""]
    length: Float[Array, ""]

    def __call__(self, squared: Float[Array, " pairs"]) -> Float[Array, ""]:
        number = _atoms_of(squared.size)
        i, j = np.triu_indices(number, 1)
        squared, edge = squared * self.length**2, CORE**2

        def at(s: Float[Array, " pairs"]) -> Float[Array, " pairs"]:
            both = two(self.parameters, i, j)
            found = evaluate(
                self.expression, {**self.globals, **both, "r": jnp.sqrt(s)}, self.tables
            )
            return jnp.broadcast_to(found, s.shape)

        value = at(jnp.maximum(squared, edge))
        start = jnp.full_like(squared, edge)
        _, slope = jax.jvp(at, (start,), (jnp.ones_like(start),))
        value = value + slope * jnp.minimum(squared - edge, 0)
        return self.energy * jnp.sum(jnp.where(_kept(self.excluded, i, j), value, 0))


class CustomBorn(eqx.Module):
    """A generalised Born model: values of every atom, one after the other, by sums over pairs or from
    the values before, and then an energy of atoms and pairs of them.

    `values` and `energies` are `(name, expression, kind)` and `(expression, kind)`, the kind `"single"`,
    `"pair"` (without exclusions) or `"all pairs"`.
    """

    excluded: Atoms = eqx.field(static=True)
    values: tuple[tuple[str, str, str], ...] = eqx.field(static=True)
    energies: tuple[tuple[str, str], ...] = eqx.field(static=True)
    parameters: dict[str, Float[Array, " atoms"]]
    globals: dict[str, Float[Array, ""]]
    tables: dict[str, Float[Array, "..."]]
    energy: Float[Array, ""]
    length: Float[Array, ""]

    def __call__(self, squared: Float[Array, " pairs"]) -> Float[Array, ""]:
        number = _atoms_of(squared.size)
        i, j = np.triu_indices(number, 1)
        r = jnp.sqrt(jnp.maximum(squared * self.length**2, CLOSE**2))
        whole = jnp.zeros((number, number), r.dtype).at[i, j].set(r).at[j, i].set(r)
        one, other = np.indices((number, number))
        known, total = dict(self.parameters), jnp.zeros((), r.dtype)

        def of(expression: str, values: dict[str, Any]) -> Any:
            return evaluate(expression, {**self.globals, **values}, self.tables)

        for name, expression, kind in self.values:
            if kind == "single":
                found = of(expression, known)
            else:
                both = two(known, one, other) | {"r": jnp.where(one == other, 1, whole)}
                found = of(expression, both)
                used = (one != other) & _used(kind, self.excluded, one, other)
                found = jnp.sum(jnp.where(used, found, 0), axis=1)
            known[name] = jnp.broadcast_to(found, (number,))
        for expression, kind in self.energies:
            if kind == "single":
                found = of(expression, known)
                total += jnp.sum(jnp.broadcast_to(found, (number,)))
            else:
                found = of(expression, two(known, i, j) | {"r": r})
                total += jnp.sum(jnp.where(_used(kind, self.excluded, i, j), found, 0))
        return self.energy * total


def two(values, i, j):
    """Every value of both atoms, as `name1` and `name2`."""
    return {f"{name}{k}": v[at] for name, v in values.items() for k, at in ((1, i), (2, j))}


def _used(kind, excluded, i, j):
    return True if kind == "all pairs" else _kept(excluded, i, j)


def _kept(excluded, i, j):
    """Which pairs aren't excluded."""
    if not excluded:
        return np.ones(np.shape(i), bool)
    number = int(np.max(j)) + 1
    out = np.zeros((number, number), bool)
    a, b = np.asarray(excluded).T
    out[a, b] = out[b, a] = True
    return ~out[i, j]


def _atoms_of(pairs: int) -> int:
    return round((1 + (1 + 8 * pairs) ** 0.5) / 2)
