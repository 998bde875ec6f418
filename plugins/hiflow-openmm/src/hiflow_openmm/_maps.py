"""Energies that are tabulated over two torsions, as force fields correct backbones with."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hiflow_openmm._terms import Atoms, turns

# From a cubic's values and slopes at 0 and at 1 to its coefficients.
_HERMITE = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [-3, 3, -2, -1], [2, -2, 1, 1.0]])


class Map(eqx.Module):
    r"""$\sum_t E(\phi_t, \psi_t)$ with the periodic bicubic spline $E$ of a table: in the patch
    $(i, j)$ of an $n \times n$ grid that begins at 0, $\sum_{kl} c_{ijkl}\,u^k v^l$ with
    $u = \tfrac{n}{2\pi}\phi - i$ and $v = \tfrac{n}{2\pi}\psi - j$. Twice continuously differentiable.
    """

    first: Atoms = eqx.field(static=True)
    second: Atoms = eqx.field(static=True)
    coefficients: Float[Array, "n n 4 4"]

    def __call__(self, x: Float[Array, "3 atoms"]) -> Float[Array, ""]:
        i, u = self._place(x, self.first)
        j, v = self._place(x, self.second)
        c = self.coefficients[i, j]
        powers_of_u = jnp.stack([jnp.ones_like(u), u, u**2, u**3], axis=1)
        powers_of_v = jnp.stack([jnp.ones_like(v), v, v**2, v**3], axis=1)
        return jnp.sum(c * powers_of_u[:, :, None] * powers_of_v[:, None])

    def _place(
        self, x: Float[Array, "3 atoms"], atoms: Atoms
    ) -> tuple[Int[Array, " torsions"], Float[Array, " torsions"]]:
        """The patch's index and where in it."""
        size = self.coefficients.shape[0]
        at = turns(x, atoms) * (size / (2 * np.pi))
        below = jnp.floor(at)
        return below.astype(int) % size, at - below


def coefficients(table: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n 4 4"]:
    """Of the periodic spline through a table over the first and the second angle."""
    size = len(table)
    eye = np.eye(size)
    after, before = np.roll(eye, 1, axis=1), np.roll(eye, -1, axis=1)
    # A cubic spline's slopes d at whole numbers: d₋ + 4 d + d₊ = 3 (y₊ − y₋).
    slope = np.linalg.solve(before + 4 * eye + after, 3 * (after - before))
    corners = np.empty((4, 4, size, size))
    for p, in_first in enumerate((eye, after, slope, after @ slope)):
        for q, in_second in enumerate((eye, after, slope, after @ slope)):
            corners[p, q] = in_first @ table @ in_second.T
    return np.einsum("kp,lq,pqij->ijkl", _HERMITE, _HERMITE, corners)
