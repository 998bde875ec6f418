"""A scalar field on a periodic lattice: stiff against short waves, soft along long ones."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_event, check_finite, check_positive
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.groups import Dihedral
from hiflow.registry import SupportsPresets


@registry.register("lattice-phi4")
class LatticePhi4(AbstractEnergy, SupportsPresets):
    r"""The $\phi^4$ theory's action on a square lattice with periodic boundaries, in units of kT:

    $$V(\phi) = \sum_x \Big[\sum_{\mu=1}^2 (\phi_{x+\hat\mu} - \phi_x)^2
      + m^2 \phi_x^2 + \lambda \phi_x^4\Big]$$

    (Albergo, Kanwar and Shanahan, arXiv:1904.12072). The preset `6x6`, near the critical point, is the
    smallest lattice there and in Gerdes et al., arXiv:2207.00283: waves of the field differ by a factor
    20 in variance.

    The group declared is that of the square's turns and mirror images. The action is even in $\phi$
    and is kept by translations of the lattice besides.

    **Arguments:**

    - `side`: sites along each of the two axes, at least 3. The event shape is `(side, side)`.
    - `mass_squared`: $m^2$, of either sign.
    - `coupling`: $\lambda$, positive.

    **Raises:** `ValueError` for fewer than 3 sites, a coupling that isn't positive, or a mass that isn't
    finite.

    **Example:**

    ```pycon
    >>> field = hf.energies.LatticePhi4.preset("6x6")
    >>> field(jnp.ones((6, 6))).round(1)  # (m² + λ) for each of the 36 sites
    Array(107.1, dtype=float32)
    >>> waves = jnp.linalg.eigvalsh(field.hessian(0.6 * jnp.ones((6, 6))))
    >>> waves[jnp.array([0, -1])].round(1)  # the softest wave, and the stiffest
    Array([22.1, 38.1], dtype=float32)
    ```
    """

    side: int = eqx.field(static=True, default=6)
    mass_squared: Float[Array, ""] = eqx.field(converter=as_scalar, default=-4.0)
    coupling: Float[Array, ""] = eqx.field(converter=as_scalar, default=6.975)

    presets: ClassVar = {"6x6": {"side": 6, "mass_squared": -4.0, "coupling": 6.975}}

    def __check_init__(self):
        if type(self.side) is not int or self.side < 3:
            raise ValueError(
                "LatticePhi4: `side` must be a whole number of at least 3, so that a site has four "
                f"neighbours; got {self.side!r}."
            )
        check_positive(self, "coupling")
        check_finite(self, "mass_squared")

    @property
    def event_shape(self) -> tuple[int, int]:
        """`(side, side)`."""
        return (self.side, self.side)

    @property
    def group(self) -> Dihedral:
        """The turns and mirror images of the square."""
        return Dihedral(4)

    def __call__(self, x: Float[Array, "side side"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="LatticePhi4")
        steps = sum(jnp.sum((jnp.roll(x, -1, axis) - x) ** 2) for axis in (0, 1))
        return steps + jnp.sum(self.mass_squared * x**2 + self.coupling * x**4)

    def hessian(self, x: Float[Array, "side side"]) -> Float[Array, "flat flat"]:
        r"""$2(4 + m^2) + 12\lambda\phi_x^2$ on the diagonal, $-2$ between neighbours."""
        check_event(x, self.event_shape, owner="LatticePhi4.hessian")
        own = 2 * (4 + self.mass_squared) + 12 * self.coupling * x.ravel() ** 2
        return jnp.diag(own) - 2 * jnp.asarray(_neighbours(self.side), x.dtype)


def _neighbours(side: int) -> Float[np.ndarray, "flat flat"]:
    """1 between sites that lie beside each other, else 0."""
    ring = np.roll(np.eye(side), 1, axis=1) + np.roll(np.eye(side), -1, axis=1)
    return np.kron(ring, np.eye(side)) + np.kron(np.eye(side), ring)
