"""Particles whose pairs have two preferred distances (DW4)."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_finite, check_positive
from hiflow.energies._base import registry
from hiflow.energies._conventions import AbstractBenchmarkEnergy
from hiflow.energies._pairs import check_particles


@registry.register("double-well-particles")
class DoubleWellParticles(AbstractBenchmarkEnergy):
    r"""$V(x) = \sum_{i<j} a (d_{ij} - d_0) + b (d_{ij} - d_0)^2 + c (d_{ij} - d_0)^4$, in kT.

    Each pair counts once. With $b < 0$ a pair has two wells, at $d_0 \pm \sqrt{-b/2c}$ for $a = 0$.
    The energy is finite but has a cusp where particles coincide; below $10^{-3} d_0$ it goes on as
    its tangent in $d_{ij}^2$, so that the gradient is defined there too.

    **Arguments:**

    - `particles`, `dim`: the event shape.
    - `a`, `b`, `c`: coefficients in kT per power of the length; $c > 0$ confines.
    - `d0`: the distance between the two wells' barrier and zero.
    - `convention`: the preset that these parameters belong to, `"dw4"`; `preset` sets it.

    **Raises:** `ValueError` for fewer than two particles, for a `c` or `d0` that isn't positive, or
    parameters that aren't those of the `convention`.

    **Example:**

    ```pycon
    >>> dw4 = hf.energies.DoubleWellParticles.preset("dw4")
    >>> dw4.event_shape
    (4, 2)
    >>> x = 4.0 * jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> dw4(x).round(2)
    Array(-8.4, dtype=float32)
    ```
    """

    particles: int = eqx.field(static=True)
    dim: int = eqx.field(static=True, default=2)
    a: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.0)
    b: Float[Array, ""] = eqx.field(converter=as_scalar, default=-4.0)
    c: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.9)
    d0: Float[Array, ""] = eqx.field(converter=as_scalar, default=4.0)
    convention: str | None = eqx.field(static=True, default=None)

    presets: ClassVar = {
        "dw4": {"particles": 4, "dim": 2, "a": 0.0, "b": -4.0, "c": 0.9, "d0": 4.0}
    }
    entropies: ClassVar = {"dw4": (6.75, 6.77)}

    def __check_init__(self):
        check_particles(self)
        check_finite(self, "a", "b")
        check_positive(self, "c", "d0")

    @property
    def trap(self) -> Float[Array, ""]:
        """No trap: the pairs confine each other."""
        return jnp.zeros(())

    @property
    def core(self) -> Float[Array, ""]:
        """$10^{-3} d_0$."""
        return 1e-3 * self.d0

    def pair(self, s: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        z = jnp.sqrt(s) - self.d0
        return self.a * z + self.b * z**2 + self.c * z**4

    def pair_derivatives(
        self, s: Float[Array, "*pairs"]
    ) -> tuple[Float[Array, "*pairs"], Float[Array, "*pairs"]]:
        d = jnp.sqrt(s)
        z = d - self.d0
        first = self.a + 2 * self.b * z + 4 * self.c * z**3
        second = 2 * self.b + 12 * self.c * z**2
        return first / (2 * d), (second - first / d) / (4 * s)
