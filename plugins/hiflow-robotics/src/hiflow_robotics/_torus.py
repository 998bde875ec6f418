"""The symmetry of joints that turn all the way round."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

import hiflow as hf
from hiflow_robotics._fields import as_flags

TURN = 2 * jnp.pi


class Torus(hf.groups.AbstractDiscreteGroup):
    r"""Whole turns of the joints that wrap: $x \mapsto x + 2\pi g$ with an integer $g$ per joint, 0
    where a joint doesn't wrap.

    Events are joint angles in radians, `(joints,)`. The group is discrete, so no direction is removed;
    densities are with respect to Lebesgue measure on one turn of every joint that wraps.

    **Arguments:**

    - `wraps`: a truth value per joint.

    **Raises:** `ValueError` if `wraps` isn't a sequence, or an event has another number of joints.
    """

    wraps: tuple[bool, ...] = eqx.field(static=True, converter=as_flags)

    @classmethod
    def example(cls) -> "Torus":
        """Three joints, the last of which doesn't wrap."""
        return cls((True, True, False))

    def sample(self, key: PRNGKeyArray, event_shape: tuple[int, ...]) -> Int[Array, " joints"]:
        """Turns from -2 to 2, evenly: there is no uniform law on all integers."""
        self._check(event_shape)
        turns = jax.random.randint(key, event_shape, -2, 3)
        return jnp.where(jnp.array(self.wraps), turns, 0)

    def act(self, g: Int[Array, " joints"], x: Float[Array, " joints"]) -> Float[Array, " joints"]:
        self._check(x.shape)
        return x + TURN * g

    def inverse(self, g: Int[Array, " joints"]) -> Int[Array, " joints"]:
        return -g

    def compose(self, g: Int[Array, " joints"], h: Int[Array, " joints"]) -> Int[Array, " joints"]:
        return g + h

    def align(
        self, x: Float[Array, " joints"], y: Float[Array, " joints"]
    ) -> Int[Array, " joints"]:
        """The turns that bring `x` nearest to `y`: the straight line between them is then a geodesic of
        the torus."""
        turns = jnp.round((y - x) / TURN).astype(int)
        return jnp.where(jnp.array(self.wraps), turns, 0)

    def periods(self, event_shape: tuple[int, ...]) -> Float[Array, " joints"]:
        """2π where a joint wraps."""
        self._check(event_shape)
        return jnp.where(jnp.array(self.wraps), TURN, jnp.inf)

    def _check(self, event_shape: tuple[int, ...]) -> None:
        if event_shape != (len(self.wraps),):
            raise ValueError(
                f"Torus: `wraps` is for {len(self.wraps)} joints, got an event of shape {event_shape}."
            )
