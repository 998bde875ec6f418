"""Two wells in the plane, split along the first coordinate."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_event, check_positive
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.groups import Trivial


@registry.register("double-well")
class DoubleWell(AbstractEnergy):
    r"""$V(x) = h (x_1^2/a^2 - 1)^2 + \tfrac{k}{2} x_2^2$, in units of kT.

    Minima at $(\pm a, 0)$; the curvature along the first coordinate is negative on the barrier.

    **Arguments:**

    - `barrier`: $h$, the height of the barrier in kT.
    - `position`: $a$, half the distance between the wells.
    - `stiffness`: $k$, in kT per squared length.

    **Raises:** `ValueError` if one of them isn't positive and finite.

    **Example:**

    ```pycon
    >>> well = hf.energies.DoubleWell(barrier=3.0)
    >>> well(jnp.zeros(2)), well(jnp.array([1.5, 0.0]))
    (Array(3., dtype=float32), Array(0., dtype=float32))
    >>> well.hessian(jnp.zeros(2)).round(2)  # negative on the barrier
    Array([[-5.33,  0.  ],
           [ 0.  , 10.  ]], dtype=float32)
    ```
    """

    barrier: Float[Array, ""] = eqx.field(converter=as_scalar, default=3.0)
    position: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.5)
    stiffness: Float[Array, ""] = eqx.field(converter=as_scalar, default=10.0)

    def __check_init__(self):
        check_positive(self, "barrier", "position", "stiffness")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(2,)`."""
        return (2,)

    @property
    def group(self) -> Trivial:
        """None is declared."""
        return Trivial()

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="DoubleWell")
        z = x[0] / self.position
        return self.barrier * (z**2 - 1) ** 2 + self.stiffness / 2 * x[1] ** 2

    def hessian(self, x: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        r"""$\nabla^2 V(x)$, shape `(2, 2)`: diagonal."""
        check_event(x, self.event_shape, owner="DoubleWell.hessian")
        along = self.barrier * (12 * (x[0] / self.position) ** 2 - 4) / self.position**2
        return jnp.diag(jnp.stack([along, self.stiffness.astype(along.dtype)]))

    def entropy(self) -> tuple[float, float]:
        r"""In nats: quadrature along the first coordinate, exact along the second."""
        h, a, k = float(self.barrier), float(self.position), float(self.stiffness)
        z = np.linspace(-1, 1, 200_001) * np.sqrt(1 + np.sqrt(100 / h))
        v = h * (z**2 - 1) ** 2
        Z = np.trapezoid(np.exp(-v), z)
        along = np.log(a * Z) + np.trapezoid(np.exp(-v) * v, z) / Z
        value = float(along + (1 + np.log(2 * np.pi / k)) / 2)
        return value, value
