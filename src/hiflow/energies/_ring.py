"""A ring in the plane: stiff across, soft along, the smallest case where curvature matters."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_event, check_positive
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.energies._radial import continued, continued_derivatives, radial_blocks
from hiflow.groups import Rotation


@registry.register("ring")
class Ring(AbstractEnergy):
    r"""$V(x) = (\|x\| - R)^2 / 2w^2$ in the plane, in units of kT.

    The cusp at the origin is rounded off within $10^{-3} R$ of it.

    **Arguments:**

    - `radius`: $R$, a length.
    - `width`: $w$, a length.

    **Raises:** `ValueError` if either isn't positive and finite.

    **Example:**

    ```pycon
    >>> energy = hf.energies.Ring(radius=2.0, width=0.08)
    >>> x = jnp.array([2.0, 0.0])
    >>> energy(x), energy.hessian(x).round(2)  # stiff across, flat along
    (Array(0., dtype=float32), Array([[156.25,   0.  ],
           [  0.  ,   0.  ]], dtype=float32))
    >>> round(energy.entropy()[0], 3)  # the least NLL of any model, in nats
    1.424
    ```
    """

    radius: Float[Array, ""] = eqx.field(converter=as_scalar, default=2.0)
    width: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.08)

    def __check_init__(self):
        check_positive(self, "radius", "width")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(2,)`."""
        return (2,)

    @property
    def group(self) -> Rotation:
        """Rotations and reflections of the plane."""
        return Rotation(2, reflections=True)

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="Ring")
        s = jnp.sum(x**2)
        return continued(self._phi, lambda s: self._derivatives(s)[0], s, self._core)

    def hessian(self, x: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        r"""$\nabla^2 V(x)$, shape `(2, 2)`."""
        check_event(x, self.event_shape, owner="Ring.hessian")
        return radial_blocks(x, *continued_derivatives(self._derivatives, x @ x, self._core))

    def residuals(self, x: Float[Array, " dim"]) -> Float[Array, " m"]:
        r"""$(\|x\| - R)/w$, away from the rounded cusp."""
        return jnp.atleast_1d((jnp.linalg.norm(x) - self.radius) / self.width)

    def entropy(self) -> tuple[float, float]:
        r"""In nats, by quadrature over the radius: $\log Z + \langle V \rangle$."""
        R, w = float(self.radius), float(self.width)
        r = np.linspace(max(0.0, R - 12 * w), R + 12 * w, 200_001)
        v = (r - R) ** 2 / (2 * w**2)
        weight = 2 * np.pi * r * np.exp(-v)
        Z = np.trapezoid(weight, r)
        value = float(np.log(Z) + np.trapezoid(weight * v, r) / Z)
        return value, value

    @property
    def _core(self) -> Float[Array, ""]:
        return (1e-3 * self.radius) ** 2

    def _phi(self, s: Float[Array, ""]) -> Float[Array, ""]:
        return (jnp.sqrt(s) - self.radius) ** 2 / (2 * self.width**2)

    def _derivatives(self, s: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        r = jnp.sqrt(s)
        return (1 - self.radius / r) / (2 * self.width**2), self.radius / (
            4 * s * r * self.width**2
        )
