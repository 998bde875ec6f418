"""Müller and Brown's surface: three wells in the plane along a bent valley, as reactions have them."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_event, check_positive
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.groups import Trivial

_HEIGHTS = np.array([-200.0, -100.0, -170.0, 15.0])
_CENTRES = np.array([[1.0, 0.0], [0.0, 0.5], [-0.5, 1.5], [-1.0, 1.0]])
# The exponents' matrices: (2a, b; b, 2c) of the paper.
_FORMS = np.array([
    [[-2.0, 0.0], [0.0, -20.0]],
    [[-2.0, 0.0], [0.0, -20.0]],
    [[-13.0, 11.0], [11.0, -13.0]],
    [[1.4, 0.6], [0.6, 1.4]],
])  # fmt: skip
_GRID, _ZOOMS = 801, 3
_NEGLIGIBLE = 40.0  # kT above the minimum
_HIGHEST = 40.0


@registry.register("muller-brown")
class MullerBrown(AbstractEnergy):
    r"""$V(x) = \frac1T \sum_{k=1}^4 A_k \exp\left(\tfrac12 (x - c_k)^\top M_k (x - c_k)\right)$ in
    the plane, in units of kT.

    Three wells, at $(-0.558, 1.442)$, $(0.623, 0.028)$ and $(-0.050, 0.467)$, with $-146.7$, $-108.2$
    and $-80.8$ of the surface's own units, and two saddles, $-40.7$ and $-72.2$ (Müller and Brown,
    "Location of saddle points and minimum energy paths by a constrained simplex optimization
    procedure", 1979). Far out, where an exponent is above 40, the exponential goes on as its tangent,
    which single precision holds.

    **Arguments:**

    - `temperature`: $T$, which is kT in the surface's own units. The literature has 10 to 20, where
      wells last and are still left: by 15 the highest saddle is 7.1 kT above the deepest well.

    **Raises:** `ValueError` if it isn't positive and finite.

    **Example:**

    ```pycon
    >>> energy = hf.energies.MullerBrown(temperature=15.0)
    >>> x = jnp.array([-0.558, 1.442])  # the deepest well
    >>> (15 * energy(x)).round(1), energy.hessian(x).round(0)
    (Array(-146.7, dtype=float32), Array([[ 149., -122.],
           [-122.,  149.]], dtype=float32))
    >>> round(energy.entropy()[0], 3)  # the least NLL of any model, in nats
    -0.978
    ```
    """

    temperature: Float[Array, ""] = eqx.field(converter=as_scalar, default=15.0)

    def __check_init__(self):
        check_positive(self, "temperature")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(2,)`."""
        return (2,)

    @property
    def group(self) -> Trivial:
        """None is declared."""
        return Trivial()

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="MullerBrown")
        heights, exponents, _ = self._terms(x)
        low = jnp.minimum(exponents, _HIGHEST)
        return jnp.sum(heights * jnp.exp(low) * (1 + exponents - low))

    def hessian(self, x: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        r"""$\nabla^2 V(x)$, shape `(2, 2)`."""
        check_event(x, self.event_shape, owner="MullerBrown.hessian")
        heights, exponents, slopes = self._terms(x)
        first = heights * jnp.exp(jnp.minimum(exponents, _HIGHEST))
        second = jnp.where(exponents < _HIGHEST, first, 0)
        forms = jnp.asarray(_FORMS, x.dtype)
        return jnp.einsum("k,ki,kj->ij", second, slopes, slopes) + jnp.tensordot(first, forms, 1)

    def entropy(self) -> tuple[float, float]:
        r"""In nats, by quadrature over the plane: $\log Z + \langle V \rangle$."""
        T = float(self.temperature)
        reach = 3 + np.sqrt(np.log1p(4 * T) / 0.4)  # Beyond, the fourth term is above 50 kT.
        axes = [np.linspace(c - reach, c + reach, _GRID) for c in _CENTRES[-1]]
        for _ in range(_ZOOMS):
            v = _surface(*axes) / T
            inside = np.nonzero(v < v.min() + _NEGLIGIBLE)
            axes = [
                np.linspace(axis[max(at.min() - 1, 0)], axis[min(at.max() + 1, _GRID - 1)], _GRID)
                for axis, at in zip(axes, inside, strict=True)
            ]
        v = _surface(*axes) / T
        v -= v.min()
        cell = np.prod([axis[1] - axis[0] for axis in axes])
        Z = np.sum(np.exp(-v))
        value = float(np.log(Z * cell) + np.sum(np.exp(-v) * v) / Z)
        return value, value

    def _terms(
        self, x: Float[Array, " dim"]
    ) -> tuple[Float[Array, " 4"], Float[Array, " 4"], Float[Array, "4 dim"]]:
        # Heights in kT, exponents and their gradients.
        away = x - jnp.asarray(_CENTRES, x.dtype)
        slopes = jnp.einsum("kij,kj->ki", jnp.asarray(_FORMS, x.dtype), away)
        exponents = jnp.sum(away * slopes, axis=1) / 2
        return jnp.asarray(_HEIGHTS, x.dtype) / self.temperature, exponents, slopes


def _surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    away = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)[:, :, None] - _CENTRES
    exponents = np.einsum("...ki,kij,...kj->...k", away, _FORMS, away, optimize=True) / 2
    return np.exp(exponents) @ _HEIGHTS
