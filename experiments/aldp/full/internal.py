r"""Alanine dipeptide in bond lengths, angles and torsions: a vector of 60 numbers, and the energy there.

$\int e^{-V}\,d\mu$ over the centred subspace is $N^{-3/2}\, 8\pi^2 \int e^{-V} \prod r^2 \sin\theta$
over these, so that a free energy is the same number as a flow's of positions. Walls keep what the
reference never leaves: the handedness, the order of the hydrogens of a methyl group, amides trans.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

import hiflow as hf

# The first three: the second and third atom are bonded to the first.
FIRST = (8, 6, 14)
# An atom, the one that it is bonded to, those that its angle and its torsion are to; where that torsion
# is near, and how far from there the wall is, in degrees. Methyl groups turn freely, without a wall.
ROWS = [
    (4, 6, 8, 14, -55, 180),  # φ
    (16, 14, 8, 6, 75, 180),  # ψ
    (7, 6, 8, 4, 180, 60),
    (15, 14, 8, 16, 180, 60),
    (10, 8, 6, 14, None, 60),
    (9, 8, 6, 14, None, 60),
    (5, 4, 6, 8, 0, 90),
    (1, 4, 6, 5, 180, 60),
    (0, 1, 4, 6, 0, 180),
    (2, 1, 4, 0, None, 60),
    (3, 1, 4, 0, None, 60),
    (11, 10, 8, 6, 60, 180),
    (12, 10, 8, 11, None, 60),
    (13, 10, 8, 11, None, 60),
    (18, 16, 14, 8, 180, 90),
    (17, 16, 14, 18, 180, 60),
    (19, 18, 16, 14, 0, 180),
    (20, 18, 16, 19, None, 60),
    (21, 18, 16, 19, None, 60),
]
BONDS = [(8, 6), (8, 14)] + [row[:2] for row in ROWS]
ANGLES = [(6, 8, 14)] + [row[:3] for row in ROWS]
TORSIONS = [row[3::-1] for row in ROWS]
# Of the torsions.
PHI, PSI, METHYLS = 0, 1, [8, 11, 16]
ATOMS = 22
# Where φ = 0 is among the torsions, which are told from their centres.
PHI_0 = -np.radians(ROWS[PHI][4])
# Where torsions begin among the 60 numbers.
START = len(BONDS) + len(ANGLES)
WALLS = np.radians([row[5] for row in ROWS])
WALLS[METHYLS] = np.inf


class Internal:
    """The coordinates of one handedness.

    **Arguments:**

    - `positions`: `(22, 3)`, which has it.
    """

    def __init__(self, positions: Any):
        here = np.asarray(hf.coordinates.torsions(jnp.asarray(positions), TORSIONS))
        said = [row[4] for row in ROWS]
        # Those that the handedness decides are near ±120 degrees.
        self.centres = np.array(
            [
                np.sign(at) * 2 * np.pi / 3 if one is None else np.radians(one)
                for one, at in zip(said, here, strict=True)
            ]
        )

    def of(self, x: Float[Array, "*n 22 3"]) -> Float[Array, "*n 60"]:
        """Bond lengths in Å, angles, and torsions from their centres, in radians."""
        torsions = hf.coordinates.torsions(x, TORSIONS) - self.centres
        turned = (torsions + np.pi) % (2 * np.pi) - np.pi
        parts = hf.coordinates.bond_lengths(x, BONDS), hf.coordinates.angles(x, ANGLES), turned
        return jnp.concatenate(parts, axis=-1)

    def positions(self, z: Float[Array, " 60"]) -> Float[Array, "22 3"]:
        """Positions in Å."""
        r, theta = z[: len(BONDS)], z[len(BONDS) : START]
        torsions = z[START:] + self.centres
        x: list[Any] = [jnp.zeros(3)] * ATOMS
        x[FIRST[1]] = r[0] * jnp.array([1.0, 0.0, 0.0])
        x[FIRST[2]] = r[1] * jnp.array([jnp.cos(theta[0]), jnp.sin(theta[0]), 0.0])
        for k, (atom, b, c, d, *_) in enumerate(ROWS):
            x[atom] = _placed(x[b], x[c], x[d], r[k + 2], theta[k + 1], torsions[k])
        return jnp.stack(x)

    def inside(self, z: Float[Array, "*n 60"]) -> Bool[Array, "*n"]:
        """Whether points are within the walls."""
        r, theta, torsions = z[..., : len(BONDS)], z[..., len(BONDS) : START], z[..., START:]
        return (
            jnp.all(r > 0.5, axis=-1)
            & jnp.all((theta > 0.3) & (theta < np.pi - 0.01), axis=-1)
            & jnp.all(jnp.abs(torsions) < WALLS, axis=-1)
        )


class Scaled(eqx.Module):
    """The energy in kT of `(z - mean) / scale`; infinite outside of the walls."""

    energy: Any
    internal: Internal = eqx.field(static=True)
    mean: Float[Array, " 60"]
    scale: Float[Array, " 60"]
    side: Float[Array, ""]
    """Of a wall at φ = 0: 1 keeps φ > 0, -1 the rest."""

    def __call__(self, y: Float[Array, " 60"]) -> Float[Array, ""]:
        z = self.unscaled(y)
        inside = self.internal.inside(z) & (self.side * (z[START + PHI] - PHI_0) > 0)
        z = jnp.where(inside, z, self.mean)
        r, theta = z[: len(BONDS)], z[len(BONDS) : START]
        volume = 2 * jnp.sum(jnp.log(r)) + jnp.sum(jnp.log(jnp.sin(theta)))
        volume += jnp.sum(jnp.log(self.scale)) + np.log(8 * np.pi**2) - 1.5 * np.log(ATOMS)
        value = self.energy(self.internal.positions(z)) - volume
        return jnp.where(inside, value, jnp.inf)

    def unscaled(self, y: Float[Array, "*n 60"]) -> Float[Array, "*n 60"]:
        return self.mean + self.scale * y


def _placed(b: Array, c: Array, d: Array, r: Array, theta: Array, torsion: Array) -> Array:
    """The atom at a distance from b, an angle to c and a torsion about b and c to d."""
    u = (b - c) / jnp.linalg.norm(b - c)
    n = jnp.cross(c - d, u)
    n = n / jnp.linalg.norm(n)
    m = jnp.cross(n, u)
    sine = jnp.sin(theta)
    away = jnp.stack([-jnp.cos(theta), sine * jnp.cos(torsion), sine * jnp.sin(torsion)])
    return b + r * (away[0] * u + away[1] * m + away[2] * n)
