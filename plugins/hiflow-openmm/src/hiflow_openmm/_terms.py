"""The terms of a force field as pure functions of positions.

Inside, positions are `(3, atoms)`: the long axis last is what a processor's vector units take. All
lengths and energies are in the units of the parameters.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Atoms = tuple[tuple[int, ...], ...]

# Below this many atoms a product with a sparse matrix of ±1 is faster than a gather, whose transpose
# scatters.
_FEW = 64


class Bonds(eqx.Module):
    r"""$\sum_b \tfrac{k_b}{2} (r_b - r^0_b)^2$."""

    atoms: Atoms = eqx.field(static=True)
    length: Float[Array, " bonds"]
    stiffness: Float[Array, " bonds"]

    def __call__(self, x: Float[Array, "3 atoms"]) -> Float[Array, ""]:
        return jnp.sum(self.stiffness / 2 * (bond_lengths(x, self.atoms) - self.length) ** 2)


class Angles(eqx.Module):
    r"""$\sum_a \tfrac{k_a}{2} (\theta_a - \theta^0_a)^2$."""

    atoms: Atoms = eqx.field(static=True)
    angle: Float[Array, " angles"]
    stiffness: Float[Array, " angles"]

    def __call__(self, x: Float[Array, "3 atoms"]) -> Float[Array, ""]:
        return jnp.sum(self.stiffness / 2 * (bends(x, self.atoms) - self.angle) ** 2)


class Torsions(eqx.Module):
    r"""$\sum_t \sum_n k_{tn} (1 + \cos(n \phi_t - \phi^0_{tn}))$, as
    $c + \sum_t \sum_n (a_{tn} \cos n \phi_t + b_{tn} \sin n \phi_t)$."""

    atoms: Atoms = eqx.field(static=True)
    constant: Float[Array, ""]
    cosine: Float[Array, "n torsions"]
    sine: Float[Array, "n torsions"]

    def __call__(self, x: Float[Array, "3 atoms"]) -> Float[Array, ""]:
        c, s = cosine_and_sine(x, self.atoms)
        energy, c_n, s_n = self.constant, c, s
        for a, b in zip(self.cosine, self.sine, strict=True):
            energy += jnp.sum(a * c_n + b * s_n)
            c_n, s_n = c_n * c - s_n * s, s_n * c + c_n * s
        return energy


class Pairs(eqx.Module):
    r"""$\sum_{i<j} (A_{ij} r_{ij}^{-12} - B_{ij} r_{ij}^{-6} + Q_{ij} r_{ij}^{-1})$: Lennard-Jones and
    Coulomb, with the exceptions for near atoms in the coefficients.

    Below the distance `core` a pair goes on as its tangent in $r_{ij}^2$: thermal samples never come
    there, and overlapping ones keep a finite gradient.
    """

    repulsion: Float[Array, " pairs"]
    attraction: Float[Array, " pairs"]
    coulomb: Float[Array, " pairs"]
    core: Float[Array, ""]

    def __call__(self, squared: Float[Array, " pairs"]) -> Float[Array, ""]:
        A, B, Q = self.repulsion, self.attraction, self.coulomb
        edge = self.core**2
        s = jnp.maximum(squared, edge)
        cube = s**-3
        energy = (A * cube - B) * cube + Q / jnp.sqrt(s)
        slope = -6 * A * edge**-7 + 3 * B * edge**-4 - Q / 2 * edge**-1.5
        return jnp.sum(energy + slope * jnp.minimum(squared - edge, 0))


class Solvent(eqx.Module):
    r"""Generalised Born with the radii of Onufriev, Bashford and Case (Proteins 55, 383, 2004), and a
    surface term (Schaefer, Bartels and Karplus, J. Mol. Biol. 284, 835, 1998).

    $-\tfrac{1}{2} \sum_{ij} q_i q_j / \sqrt{r_{ij}^2 + R_i R_j e^{-r_{ij}^2 / 4 R_i R_j}}
    + 4\pi\gamma \sum_i (\rho_i + \rho_w)^2 (\rho_i / R_i)^6$, the diagonal included, with the Born radii
    $R_i^{-1} = \tilde\rho_i^{-1} - \rho_i^{-1} \tanh(\psi_i - 0.8 \psi_i^2 + 4.85 \psi_i^3)$, where
    $\tilde\rho_i = \rho_i - \rho_0$ and $\psi_i = \tilde\rho_i \sum_j I_{ij} / 2$ with the part
    $I_{ij}$ of $i$'s surroundings that $j$ takes (Hawkins, Cramer and Truhlar, J. Phys. Chem. 100,
    19824, 1996).
    """

    charges: Float[Array, " atoms"]
    """In the root of energy times length, the dielectric constants within."""
    radii: Float[Array, " atoms"]
    """$\\rho_i$."""
    scales: Float[Array, " atoms"]
    """Of each atom the radius that it takes from its neighbours' surroundings."""
    offset: Float[Array, ""]
    """$\\rho_0$."""
    probe: Float[Array, ""]
    """$\\rho_w$."""
    surface: Float[Array, ""]
    """$\\gamma$."""

    def __call__(self, squared: Float[Array, " pairs"]) -> Float[Array, ""]:
        R = self.born_radii(jnp.sqrt(jnp.maximum(squared, _tiny(squared))))
        i, j = np.triu_indices(len(self.radii), 1)
        product = _at(R, i) * _at(R, j)
        f = jnp.sqrt(squared + product * jnp.exp(-squared / (4 * product)))
        polar = -jnp.sum(self.charges[i] * self.charges[j] / f) - jnp.sum(self.charges**2 / R) / 2
        exposed = (self.radii + self.probe) ** 2 * (self.radii / R) ** 6
        return polar + 4 * np.pi * self.surface * jnp.sum(exposed)

    def born_radii(self, r: Float[Array, " pairs"]) -> Float[Array, " atoms"]:
        """$R_i$ from distances."""
        number = len(self.radii)
        i, j = np.triu_indices(number, 1)
        # Both atoms of every pair: what the second takes of the first's surroundings, and back.
        of, by, r = np.concatenate([i, j]), np.concatenate([j, i]), jnp.concatenate([r, r])
        reduced = self.radii - self.offset
        rho, scale, inverse = reduced[of], self.scales[by], 1 / r
        lower = 1 / jnp.maximum(rho, jnp.abs(r - scale))
        upper = 1 / (r + scale)
        taken = (
            lower - upper
            + (r - scale**2 * inverse) / 4 * (upper**2 - lower**2)
            + jnp.log(upper / lower) / 2 * inverse
            + jnp.where(rho < scale - r, 2 * (1 / rho - lower), 0)
        )  # fmt: skip
        psi = reduced / 2 * _sums(jnp.where(rho < r + scale, taken, 0), of, number)
        return 1 / (1 / reduced - jnp.tanh(psi - 0.8 * psi**2 + 4.85 * psi**3) / self.radii)


def bond_lengths(x: Float[Array, "3 atoms"], atoms: Atoms) -> Float[Array, " bonds"]:
    """$r_b$."""
    return _norm(_differences(x, atoms, 0, 1))


def bends(x: Float[Array, "3 atoms"], atoms: Atoms) -> Float[Array, " angles"]:
    r"""$\theta_a$ between 0 and π."""
    u, v = _differences(x, atoms, 0, 1), _differences(x, atoms, 2, 1)
    return jnp.arctan2(_norm(_cross(u, v)), jnp.sum(u * v, axis=0))


def turns(x: Float[Array, "3 atoms"], atoms: Atoms) -> Float[Array, " torsions"]:
    r"""$\phi_t$ between −π and π; 0 where three atoms lie on a line."""
    c, s = cosine_and_sine(x, atoms)
    return jnp.arctan2(s, jnp.where((c == 0) & (s == 0), 1, c))


def cosine_and_sine(
    x: Float[Array, "3 atoms"], atoms: Atoms
) -> tuple[Float[Array, " torsions"], Float[Array, " torsions"]]:
    r"""$\cos\phi_t$ and $\sin\phi_t$; 0, both of them, where three atoms lie on a line."""
    first = _differences(x, atoms, 1, 0)
    axis = _differences(x, atoms, 2, 1)
    last = _differences(x, atoms, 3, 2)
    m, n = _cross(first, axis), _cross(axis, last)
    c = jnp.sum(m * n, axis=0)
    s = _norm(axis) * jnp.sum(first * n, axis=0)
    size = jnp.sqrt(jnp.maximum(c**2 + s**2, _tiny(x)))
    return c / size, s / size


def squared_distances(x: Float[Array, "3 atoms"]) -> Float[Array, " pairs"]:
    """$r_{ij}^2$ for $i < j$."""
    pairs = np.stack(np.triu_indices(x.shape[1], 1), axis=1)
    return jnp.sum(_differences(x, pairs, 0, 1) ** 2, axis=0)


def _differences(
    x: Float[Array, "3 atoms"], atoms: Atoms | np.ndarray, i: int, j: int
) -> Float[Array, "3 m"]:
    """$x_i - x_j$ of columns `i` and `j` of the table of atoms."""
    table = np.asarray(atoms)
    if x.shape[1] > _FEW:
        return x[:, table[:, i]] - x[:, table[:, j]]
    eye = np.eye(x.shape[1], dtype=np.int8)
    signs = (eye[table[:, i]] - eye[table[:, j]]).T
    return jnp.matmul(x, signs.astype(x.dtype), precision="highest")


def _at(values: Float[Array, " atoms"], index: np.ndarray) -> Float[Array, " m"]:
    """`values[index]`."""
    if len(values) > _FEW:
        return values[index]
    chosen = np.eye(len(values), dtype=np.int8)[:, index]
    return jnp.matmul(values, chosen.astype(values.dtype), precision="highest")


def _sums(values: Float[Array, " m"], index: np.ndarray, number: int) -> Float[Array, " atoms"]:
    """The sums of the values of each index."""
    if number > _FEW:
        return jnp.zeros(number, values.dtype).at[index].add(values)
    chosen = np.eye(number, dtype=np.int8)[index]
    return jnp.matmul(values, chosen.astype(values.dtype), precision="highest")


def _cross(u: Float[Array, "3 m"], v: Float[Array, "3 m"]) -> Float[Array, "3 m"]:
    return jnp.stack([
        u[1] * v[2] - u[2] * v[1],
        u[2] * v[0] - u[0] * v[2],
        u[0] * v[1] - u[1] * v[0],
    ])  # fmt: skip


def _norm(u: Float[Array, "3 m"]) -> Float[Array, " m"]:
    # Atoms that coincide have a gradient of 0, not NaN.
    return jnp.sqrt(jnp.maximum(jnp.sum(u**2, axis=0), _tiny(u)))


def _tiny(x: Array) -> float:
    return float(jnp.finfo(x.dtype).tiny)
