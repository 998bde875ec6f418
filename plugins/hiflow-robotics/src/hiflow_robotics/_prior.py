"""Where flows over joint angles start."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

import hiflow as hf
from hiflow_robotics._fields import as_array, as_flags, check_positive
from hiflow_robotics._torus import TURN, Torus


class JointUniform(hf.priors.AbstractPrior):
    r"""Uniform on $[-\pi, \pi)$ for a joint that wraps, $N(0, \sigma^2)$ for one that doesn't.

    The only density on a torus that no turn, however small, changes. It is normalised over one period
    of every wrapping joint and periodic beyond.

    **Arguments:**

    - `wraps`: a truth value per joint.
    - `spread`: $\sigma$ in radians.

    **Raises:** `ValueError` if `wraps` isn't a sequence or `spread` isn't positive.
    """

    wraps: tuple[bool, ...] = eqx.field(static=True, converter=as_flags)
    spread: Float[Array, ""] = eqx.field(converter=as_array, default=1.0)

    def __check_init__(self):
        check_positive("JointUniform", spread=self.spread)

    @classmethod
    def example(cls) -> "JointUniform":
        """Three joints, the last of which doesn't wrap."""
        return cls((True, True, False))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(joints,)`."""
        return (len(self.wraps),)

    @property
    def group(self) -> Torus:
        """Whole turns of the wrapping joints."""
        return Torus(self.wraps)

    def sample(self, key: PRNGKeyArray) -> Float[Array, " joints"]:
        k_turn, k_normal = jax.random.split(key)
        even = TURN * jax.random.uniform(k_turn, self.event_shape, minval=-0.5, maxval=0.5)
        normal = self.spread * jax.random.normal(k_normal, self.event_shape)
        return jnp.where(jnp.array(self.wraps), even, normal)

    def log_prob(self, x: Float[Array, " joints"]) -> Float[Array, ""]:
        normal = jax.scipy.stats.norm.logpdf(x, scale=self.spread)
        return jnp.sum(jnp.where(jnp.array(self.wraps), -jnp.log(TURN), normal))
