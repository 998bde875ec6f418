"""Lennard-Jones clusters in a harmonic trap, with the two LJ13 conventions as named presets."""

from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_at_least, check_positive
from hiflow.energies._base import registry
from hiflow.energies._conventions import AbstractBenchmarkEnergy
from hiflow.energies._pairs import check_particles


@registry.register("lennard-jones")
class LennardJones(AbstractBenchmarkEnergy):
    r"""$V(x) = \epsilon \sum_{i<j} [(r_m/d_{ij})^{12} - 2 (r_m/d_{ij})^6]
    + \tfrac{k}{2} \sum_i \|x_i - \bar x\|^2$, in units of kT.

    Each pair counts once. Two conventions for 13 particles are in circulation, a factor 2 in
    $\epsilon$ apart: use [`preset`][hiflow.energies.LennardJones.preset] to say which one is meant.
    Below $0.3\,r_m$, where $V$ exceeds $10^6 \epsilon$, a pair goes on as its tangent in
    $d_{ij}^2$: thermal samples never come there, and overlapping ones keep a finite gradient.

    **Arguments:**

    - `particles`, `dim`: the event shape.
    - `epsilon`: the depth of a pair's well, in kT.
    - `r_m`: the distance at which a pair's energy is least.
    - `trap`: the spring constant $k$, in kT per squared length; at 0 the cluster evaporates and
      $e^{-V}$ can't be normalised.
    - `convention`: the preset that these parameters belong to, `"lj13"` (ε = 2, the published sample
      sets), `"lj13-eps1"` (ε = 1, as the formula is often written) or `"lj55"` (ε = 2);
      `preset` sets it.

    **Raises:** `ValueError` for fewer than two particles, for an `epsilon` or `r_m` that isn't
    positive, a negative `trap`, or parameters that aren't those of the `convention`.

    **Example:**

    ```pycon
    >>> argon = hf.energies.LennardJones.preset("lj13")
    >>> argon.event_shape, argon.epsilon
    ((13, 3), Array(2., dtype=float32))
    >>> pair = hf.energies.LennardJones(2, epsilon=1.0, trap=0.0)
    >>> pair(jnp.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    Array(-1., dtype=float32)
    ```
    """

    particles: int = eqx.field(static=True)
    dim: int = eqx.field(static=True, default=3)
    epsilon: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    r_m: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    trap: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    convention: str | None = eqx.field(static=True, default=None)

    presets: ClassVar = {
        "lj13": {"particles": 13, "dim": 3, "epsilon": 2.0, "r_m": 1.0, "trap": 1.0},
        "lj13-eps1": {"particles": 13, "dim": 3, "epsilon": 1.0, "r_m": 1.0, "trap": 1.0},
        "lj55": {"particles": 55, "dim": 3, "epsilon": 2.0, "r_m": 1.0, "trap": 1.0},
    }
    entropies: ClassVar = {"lj13": (16.9, 17.0), "lj13-eps1": (39.8, 40.0), "lj55": (58.3, 58.8)}

    def __check_init__(self):
        check_particles(self)
        check_positive(self, "epsilon", "r_m")
        check_at_least(self, "trap", 0.0)

    @property
    def core(self) -> Float[Array, ""]:
        """$0.3\\,r_m$."""
        return 0.3 * self.r_m

    def pair(self, s: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        q3 = (self.r_m**2 / s) ** 3
        return self.epsilon * q3 * (q3 - 2)

    def pair_derivatives(
        self, s: Float[Array, "*pairs"]
    ) -> tuple[Float[Array, "*pairs"], Float[Array, "*pairs"]]:
        q3 = (self.r_m**2 / s) ** 3
        return 6 * self.epsilon * q3 * (1 - q3) / s, self.epsilon * q3 * (42 * q3 - 24) / s**2
