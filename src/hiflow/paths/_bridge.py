"""Straight lines with noise of their own on the way."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import groups
from hiflow._checks import as_scalar, check_positive
from hiflow._summaries import Component
from hiflow.paths._base import AbstractPath, registry
from hiflow.paths._noise import Noise


class BridgeAnchor(Component):
    """A data point, and the noise of one step if it was drawn."""

    point: Float[Array, "*event"]
    z: Float[Array, "*event"] | None = None


@registry.register("bridge")
class Bridge(AbstractPath):
    r"""Optimal transport with noise on the way: $x_t = (1-t)\,x_0 + t\,x_1 + \gamma(t)\,z$ with
    $z \sim N(0, P)$ drawn anew in every step and $\gamma(t) = 4wt(1-t)$.

    For any prior and any pairs. With pairs that are aligned to jittered copies
    ([`Jittered`][hiflow.couplings.Jittered]) it admits
    [`ForceControlled`][hiflow.targets.ForceControlled] targets without bias. A Brownian bridge
    (Albergo, Boffi and Vanden-Eijnden 2023, arXiv:2303.08797) has $\gamma \propto \sqrt{t(1-t)}$,
    whose targets $\dot\gamma z$ have infinite variance at both ends; these have $16w^2$ there.

    `flow` without a draw is the straight line.

    **Arguments:**

    - `width`: $w$, the noise in the middle, in the data's unit.
    - `group`: the symmetry whose `project` keeps $z$ among the free directions.

    **Raises:** `ValueError` for a `width` that isn't positive.

    **Example:**

    ```pycon
    >>> path = hf.paths.Bridge(width=0.1)
    >>> anchor = path.draw(path.anchor(jnp.array([2.0, 1.0])), key=key)
    >>> x = path.flow(jnp.array([0.0, 0.0]), anchor, jnp.asarray(0.5))
    >>> float(jnp.linalg.norm(x - jnp.array([1.0, 0.5]))) < 1.0  # noise in the middle
    True
    ```
    """

    width: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.1)
    group: groups.AbstractGroup = eqx.field(converter=groups.registry.make, default="trivial")

    def __check_init__(self):
        check_positive(self, "width")

    @property
    def noise(self) -> Noise:
        """Its own."""
        return "own"

    def anchor(self, x1: Float[Array, "*event"]) -> BridgeAnchor:
        """The point alone."""
        return BridgeAnchor(x1)

    def draw(self, anchor: BridgeAnchor, *, key: PRNGKeyArray) -> BridgeAnchor:
        """The point with the noise of one step."""
        z = jax.random.normal(key, anchor.point.shape, anchor.point.dtype)
        return BridgeAnchor(anchor.point, self.group.project(z))

    def flow(
        self, x0: Float[Array, "*event"], anchor: BridgeAnchor, t: Float[Array, ""]
    ) -> Float[Array, "*event"]:
        straight = (1 - t) * x0 + t * anchor.point
        return straight if anchor.z is None else straight + self._gamma(t) * anchor.z

    def noise_level(self, t: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        r"""$t$ and $\gamma(t)$: the noise is $z$, the rest $(1-t)x_0$."""
        return t, self._gamma(t)

    def standard_noise(
        self, x0: Float[Array, "*event"], anchor: BridgeAnchor
    ) -> Float[Array, "*event"]:
        """$z$."""
        assert anchor.z is not None, "a bridge's noise is drawn in every step"
        return anchor.z

    def _gamma(self, t: Float[Array, ""]) -> Float[Array, ""]:
        return 4 * self.width * t * (1 - t)
