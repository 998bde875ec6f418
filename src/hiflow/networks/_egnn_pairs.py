"""What a layer of the particle network knows of a pair beyond its distance: who they are, and a bond."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.networks._species import Bonds


class Pairs(eqx.Module):
    r"""What a message hears of a distance, $\rho_{ij} = W_d\,\rho(|X_i - X_j|)$ in every channel, told
    apart by the kinds $c$ of the two and by whether they are bonded, $b_{ij} \in \{0, 1\}$:

    $\rho_{ij} \mapsto (1 + \Gamma_{c_i c_j} + b_{ij}\gamma) \circ \rho_{ij}
    + B_{c_i c_j} + b_{ij}\beta$.
    """

    kinds: tuple[int, ...] = eqx.field(static=True)
    bonds: Bonds = eqx.field(static=True)
    stretch: Float[Array, "kinds kinds width"]
    offset: Float[Array, "kinds kinds width"]
    bond_stretch: Float[Array, " width"] | None
    bond_offset: Float[Array, " width"] | None

    def __init__(self, kinds: tuple[int, ...], bonds: Bonds, width: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 4)
        count = max(kinds) + 1
        self.kinds, self.bonds = kinds, bonds
        self.stretch = 0.3 * jax.random.normal(keys[0], (count, count, width))
        self.offset = 0.3 * jax.random.normal(keys[1], (count, count, width))
        self.bond_stretch = 0.3 * jax.random.normal(keys[2], (width,)) if bonds else None
        self.bond_offset = 0.3 * jax.random.normal(keys[3], (width,)) if bonds else None

    def __call__(self, heard: Float[Array, "i j width"]) -> Float[Array, "i j width"]:
        return self.stretched(heard) + self._of_pairs(self.offset, self.bond_offset)

    def stretched(self, heard: Float[Array, "i j width"]) -> Float[Array, "i j width"]:
        """The part that grows with `heard`."""
        return (1 + self._of_pairs(self.stretch, self.bond_stretch)) * heard

    def _of_pairs(
        self, table: Float[Array, "kinds kinds width"], bonded: Float[Array, " width"] | None
    ) -> Float[Array, "i j width"]:
        kinds = np.asarray(self.kinds)
        values = table[kinds[:, None], kinds[None]]
        if bonded is not None:
            values = values + self._bonded()[..., None] * bonded
        return values

    def _bonded(self) -> Float[Array, "i j"]:
        """$b_{ij}$."""
        bonded = np.zeros((len(self.kinds), len(self.kinds)))
        for i, j in self.bonds:
            bonded[i, j] = bonded[j, i] = 1
        return jnp.asarray(bonded, self.stretch.dtype)
