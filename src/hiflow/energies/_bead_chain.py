"""A chain of beads in space: stiff bonds, softer angles, soft torsions, as a small polymer has."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_at_least, check_below, check_event, check_positive
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.groups import Product, Rotation, Translation
from hiflow.registry import SupportsPresets

# Of a bond's squared length: bounds what lengths are divided by, where beads coincide or lie in a line.
_ROUNDED = 1e-4


@registry.register("bead-chain")
class BeadChain(AbstractEnergy, SupportsPresets):
    r"""A chain of distinguishable beads in space, in units of kT:

    $$V(x) = \sum_i \frac{k_b}{8\ell^2}(d_{i,i+1}^2 - \ell^2)^2
      + \sum_i \frac{k_a}{2}(\cos\theta_i - \cos\theta_0)^2
      + \sum_i \frac{k_t}{2}(1 + \cos 3\phi_i)
      + \sum_{j \ge i + 3} k_r\,e^{-d_{ij}^2/2w^2}$$

    with bonds $d$, the angles $\theta$ between successive bonds and the torsions $\phi$ about the
    inner ones. The first two are the forms of GROMOS, smooth in the positions (van Gunsteren et al.,
    Biomolecular Simulation: The GROMOS96 Manual, 1996); $k_b$ is the bond's curvature at $\ell$. The
    torsion's three wells lie at ±60° and 180°, and it is even: the energy doesn't tell a chain from
    its mirror image. Lengths that angles and torsions divide by are rounded off: a bond's by
    $10^{-4}\ell^2$ in its square.

    The group is that of translations, rotations and reflections: no two beads may be exchanged, and a
    network needs labels, which `fit` gives it.

    **Arguments:**

    - `beads`: at least 4. The event shape is `(beads, 3)`.
    - `length`: $\ell$, the length of a bond.
    - `bond`: $k_b$, in kT per squared length.
    - `angle`, `rest_angle`: $k_a$ in kT, and $\theta_0$ in degrees.
    - `torsion`: $k_t$, the height of the barrier between two wells in kT.
    - `repulsion`, `reach`: $k_r$ in kT, of beads at least three bonds apart, and $w$.

    **Raises:** `ValueError` for fewer than 4 beads, a constant that is negative (a length or a bond's
    that isn't positive), or a `rest_angle` that isn't between 0 and 180.

    **Example:**

    ```pycon
    >>> chain = hf.energies.BeadChain(beads=6)
    >>> x = hf.testing.relaxed_points(chain, key, 1)[0]
    >>> hf.coordinates.bond_lengths(x, [(0, 1), (1, 2)]).round(1)
    Array([1., 1.], dtype=float32)
    >>> chain.group.groups
    (Rotation(dim=3, reflections=True), Translation())
    ```
    """

    beads: int = eqx.field(static=True, default=8)
    length: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    bond: Float[Array, ""] = eqx.field(converter=as_scalar, default=1000.0)
    angle: Float[Array, ""] = eqx.field(converter=as_scalar, default=60.0)
    rest_angle: Float[Array, ""] = eqx.field(converter=as_scalar, default=110.0)
    torsion: Float[Array, ""] = eqx.field(converter=as_scalar, default=2.0)
    repulsion: Float[Array, ""] = eqx.field(converter=as_scalar, default=5.0)
    reach: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.5)

    presets: ClassVar = {
        "chain8": {
            "beads": 8, "length": 1.0, "bond": 1000.0, "angle": 60.0, "rest_angle": 110.0,
            "torsion": 2.0, "repulsion": 5.0, "reach": 0.5,
        }
    }  # fmt: skip
    """`chain8` has bonds 30 times as stiff as its angles are, and those 30 times as its torsions."""

    def __check_init__(self):
        if type(self.beads) is not int or self.beads < 4:
            raise ValueError(
                "BeadChain: `beads` must be a whole number of at least 4, so that there is a torsion; "
                f"got {self.beads!r}."
            )
        check_positive(self, "length", "bond", "reach", "rest_angle")
        check_below(self, "rest_angle", 180.0)
        for name in ("angle", "torsion", "repulsion"):
            check_at_least(self, name, 0.0)

    @property
    def event_shape(self) -> tuple[int, int]:
        """`(beads, 3)`."""
        return (self.beads, 3)

    @property
    def group(self) -> Product:
        """Rotations with reflections, translations."""
        return Product((Rotation(3, reflections=True), Translation()))

    def __call__(self, x: Float[Array, "beads 3"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="BeadChain")
        b = x[1:] - x[:-1]
        local = self._bonds(b).sum() + self._angles(b[:-1], b[1:]).sum()
        local = local + self._torsions(b[:-2], b[1:-1], b[2:]).sum()
        i, j = np.triu_indices(self.beads, 3)
        return local + self._repulsions(x[i] - x[j]).sum()

    def hessian(self, x: Float[Array, "beads 3"]) -> Float[Array, "flat flat"]:
        r"""$\nabla^2 V(x)$, put together of the terms' own small matrices."""
        check_event(x, self.event_shape, owner="BeadChain.hessian")
        b = x[1:] - x[:-1]
        k = np.arange(self.beads - 1)
        along_chain = jnp.zeros((len(k), 3, len(k), 3), x.dtype)
        terms = [self._bonds, self._angles, self._torsions]
        for size, term in enumerate(terms, start=1):
            at = k[: len(k) - size + 1, None] + np.arange(size)
            # Of a term of `size` successive bonds: (terms, size, 3, size, 3).
            blocks = jax.vmap(jax.hessian(lambda bonds, term=term: term(*bonds)))(b[at])
            along_chain = along_chain.at[at[:, :, None], :, at[:, None, :], :].add(
                blocks.transpose(0, 1, 3, 2, 4)
            )
        to_bonds = np.eye(self.beads)[1:] - np.eye(self.beads)[:-1]
        i, j = np.triu_indices(self.beads, 3)
        to_pairs = np.eye(self.beads)[i] - np.eye(self.beads)[j]
        pairs = jax.vmap(jax.hessian(self._repulsions))(x[i] - x[j])
        H = jnp.einsum("ka,kilj,lb->aibj", to_bonds, along_chain, to_bonds, precision="highest")
        H = H + jnp.einsum("pa,pij,pb->aibj", to_pairs, pairs, to_pairs, precision="highest")
        return H.reshape(x.size, x.size).astype(x.dtype)

    def _bonds(self, b: Float[Array, "*n 3"]) -> Float[Array, "*n"]:
        return self.bond / (8 * self.length**2) * (_dot(b, b) - self.length**2) ** 2

    def _angles(self, b: Float[Array, "*n 3"], c: Float[Array, "*n 3"]) -> Float[Array, "*n"]:
        cosine = -_dot(b, c) / jnp.sqrt(self._rounded(b) * self._rounded(c))
        return self.angle / 2 * (cosine - jnp.cos(jnp.deg2rad(self.rest_angle))) ** 2

    def _torsions(
        self, b: Float[Array, "*n 3"], c: Float[Array, "*n 3"], d: Float[Array, "*n 3"]
    ) -> Float[Array, "*n"]:
        n, m = jnp.cross(b, c), jnp.cross(c, d)
        rounded = _ROUNDED * self.length**4
        cosine = _dot(n, m) / jnp.sqrt((_dot(n, n) + rounded) * (_dot(m, m) + rounded))
        return self.torsion / 2 * (1 + 4 * cosine**3 - 3 * cosine)

    def _repulsions(self, r: Float[Array, "*n 3"]) -> Float[Array, "*n"]:
        return self.repulsion * jnp.exp(-_dot(r, r) / (2 * self.reach**2))

    def _rounded(self, b: Float[Array, "*n 3"]) -> Float[Array, "*n"]:
        return _dot(b, b) + _ROUNDED * self.length**2


def _dot(a: Float[Array, "*n 3"], b: Float[Array, "*n 3"]) -> Float[Array, "*n"]:
    return jnp.sum(a * b, axis=-1)
