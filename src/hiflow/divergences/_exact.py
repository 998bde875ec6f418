"""The exact divergence."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.divergences._base import AbstractDivergence, registry
from hiflow.divergences._products import quadratic_forms
from hiflow.networks import AbstractVelocityField, SupportsDivergence


@registry.register("exact")
class Exact(AbstractDivergence):
    """The exact trace: by the field's own method if it has one, else by D products with one
    linearisation.

    **Example:**

    ```pycon
    >>> log_p = flow.log_prob(points, divergence=hf.divergences.Exact())  # the default
    >>> log_p.shape
    (200,)
    ```
    """

    def draw(self, key: PRNGKeyArray | None, x: Float[Array, "*event"]) -> None:
        return None

    def __call__(
        self,
        field: AbstractVelocityField,
        t: Float[Array, ""],
        x: Float[Array, "*event"],
        drawn: Float[Array, "..."] | None,
    ) -> tuple[Float[Array, "*event"], Float[Array, ""]]:
        if isinstance(field, SupportsDivergence):
            return field.velocity_and_divergence(t, x)
        basis = jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
        velocity, diagonal = quadratic_forms(field, t, x, basis)
        return velocity, jnp.sum(diagonal)
