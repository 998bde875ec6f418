"""Anchors that hold the energy's gradient at the data point."""

import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow._summaries import Component
from hiflow.energies import AbstractEnergy
from hiflow.paths import AbstractPath, SupportsNoise, SupportsNoiseLevel
from hiflow.paths._noise import Noise


class ForceAnchor(Component):
    r"""A path's anchor and $\nabla V(x_1)$.

    **Example:**

    ```pycon
    >>> path = hf.targets.WithForces(hf.paths.OptimalTransport(), ring)
    >>> anchors = jax.vmap(path.anchor)(points[:5])
    >>> anchors.inner.shape, anchors.gradient.shape
    ((5, 2), (5, 2))
    ```
    """

    inner: PyTree
    gradient: Float[Array, "*event"]


class WithForces(AbstractPath):
    r"""A path whose anchors hold $\nabla V(x_1)$ too: computed once per data point, before training,
    and kept where anchors are kept.

    **Arguments:**

    - `path`: says how its noise enters ([`SupportsNoiseLevel`][hiflow.paths.SupportsNoiseLevel]).
    - `energy`: of which the data are samples.

    **Example:**

    ```pycon
    >>> path = hf.targets.WithForces(hf.paths.OptimalTransport(), ring)
    >>> anchor = path.anchor(jnp.array([2.1, 0.0]))
    >>> anchor.gradient.round(2)
    Array([15.62,  0.  ], dtype=float32)
    ```
    """

    path: AbstractPath
    energy: AbstractEnergy

    def anchor(self, x1: Float[Array, "*event"]) -> ForceAnchor:
        """The path's, and one gradient."""
        return ForceAnchor(self.path.anchor(x1), jax.grad(self.energy)(x1))

    def flow(
        self, x0: Float[Array, "*event"], anchor: ForceAnchor, t: Float[Array, ""]
    ) -> Float[Array, "*event"]:
        return self.path.flow(x0, anchor.inner, t)

    def flow_and_velocity(
        self, x0: Float[Array, "*event"], anchor: ForceAnchor, t: Float[Array, ""]
    ) -> tuple[Float[Array, "*event"], Float[Array, "*event"]]:
        return self.path.flow_and_velocity(x0, anchor.inner, t)

    @property
    def noise(self) -> Noise:
        """The path's."""
        return self.path.noise if isinstance(self.path, SupportsNoise) else "prior"

    def draw(self, anchor: ForceAnchor, *, key: PRNGKeyArray) -> ForceAnchor:
        """The path's, with the same gradient."""
        assert isinstance(self.path, SupportsNoise), "choose_noise says so of no other path"
        return ForceAnchor(self.path.draw(anchor.inner, key=key), anchor.gradient)

    @property
    def level(self) -> SupportsNoiseLevel:
        """The path, as what says how its noise enters."""
        assert isinstance(self.path, SupportsNoiseLevel), "targets refuse others"
        return self.path
