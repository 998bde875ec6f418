"""The isotropic Gaussian about the origin."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import groups
from hiflow._checks import as_scalar, as_shape, check_event, check_positive
from hiflow.groups import AbstractGroup, Trivial
from hiflow.priors._base import AbstractPrior, registry


@registry.register("normal")
class Normal(AbstractPrior):
    r"""$N(0, \sigma^2 I)$ on events of any shape.

    **Arguments:**

    - `shape`: the event shape: positive integers.
    - `scale`: the standard deviation $\sigma$ of each coordinate, a number.
    - `group`: a symmetry to declare, e.g. `Rotation(2)` for points of the plane. The density is
      invariant under every orthogonal action; a group with translations is refused.

    **Raises:** `ValueError` for a shape that isn't one, a scale that isn't positive, or a group
    that removes directions.

    **Example:**

    ```pycon
    >>> prior = hf.priors.Normal((2,), scale=2.0)
    >>> x = prior.sample(key)
    >>> prior.log_prob(x), prior.log_prob(jnp.zeros(2))  # the second is −log 8π
    (Array(-6.591504, dtype=float32), Array(-3.2241714, dtype=float32))
    ```
    """

    shape: tuple[int, ...] = eqx.field(static=True, converter=as_shape)
    scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    group: AbstractGroup = eqx.field(converter=groups.registry.make, default=Trivial())

    def __check_init__(self):
        check_positive(self, "scale")
        event = jax.ShapeDtypeStruct(self.shape, jnp.result_type(float))
        if eqx.filter_eval_shape(self.group.null_modes, event).shape[1]:
            raise ValueError(
                f"Normal: `group` must not remove directions, got {self.group}: this density isn't "
                "invariant under translations. Use CentredNormal for particles."
            )

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event."""
        return self.shape

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        return self.scale * jax.random.normal(key, self.shape, self.scale.dtype)

    def log_prob(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="Normal.log_prob")
        quadratic = jnp.sum((x / self.scale) ** 2)
        return -quadratic / 2 - x.size * (jnp.log(2 * jnp.pi) / 2 + jnp.log(self.scale))
