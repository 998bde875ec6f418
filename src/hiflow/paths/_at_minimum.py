"""A path that ends around the minimum downhill of the data point."""

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float

from hiflow import energies
from hiflow._checks import check_event
from hiflow.paths._around import AbstractAroundPath, inner_path
from hiflow.paths._base import AbstractPath, SpectralAnchor, registry
from hiflow.paths._spectral import AbstractSpectralPath
from hiflow.registry import Named


@registry.register("at-minimum")
class AtMinimum(AbstractAroundPath):
    r"""Another path, for the [inherent structure][hiflow.energies.quench] of every data point in its
    place.

    With `Langevin` inside, the flow learns the superposition of harmonic wells
    $\sum_i w_i N(x_i^*, C_i)$, each minimum weighted by how many samples fall into it: the harmonic
    approximation of the energy's density, exact as the temperature goes to 0. Where few minima are below
    many points, `fit` holds each minimum's anchor once ([how](training.md#memory)).

    **Arguments:**

    - `inner`: a spectral path, or its table, for which `energy` and `prior_scale` are filled in.
    - `steps`, `tolerance`: of [`quench`][hiflow.energies.quench].

    **Raises:** `ValueError` if `inner` is no path with an energy.

    **Example:**

    ```pycon
    >>> path = hf.paths.AtMinimum(hf.paths.Langevin(ring))
    >>> path.anchor(jnp.array([2.2, 0.0])).centre.round(2)  # the minimum below the point
    Array([2., 0.], dtype=float32)
    ```
    """

    inner: AbstractSpectralPath
    steps: int = eqx.field(static=True, default=500)
    tolerance: float = eqx.field(static=True, default=1e-4)

    def __init__(
        self,
        inner: Named[AbstractPath] = "langevin",
        energy: Named[energies.AbstractEnergy] | None = None,
        prior_scale: ArrayLike | None = None,
        steps: int = 500,
        tolerance: float = 1e-4,
    ):
        self.inner = inner_path("AtMinimum", inner, energy, prior_scale)
        self.steps, self.tolerance = steps, tolerance

    def anchor(self, x1: Float[Array, "*event"]) -> SpectralAnchor:
        """The inner path's anchor at the minimum downhill of `x1`.

        **Raises:** `ValueError` if `x1` doesn't have the energy's event shape.
        """
        check_event(x1, self.energy.event_shape, argument="x1", owner="AtMinimum")
        return self.inner.anchor(self.minimum(x1))

    def minimum(self, x1: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """The inherent structure of `x1`."""
        return energies.quench(self.energy, x1, steps=self.steps, tolerance=self.tolerance)

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        """The inner path's."""
        return self.inner.schedule(t, frame)
