"""Translations: all particles are shifted by the same vector."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.groups._base import AbstractGroup, registry


@registry.register("translation")
class Translation(AbstractGroup[Array]):
    r"""$x_i \mapsto x_i + g$ on events of shape `(particles, dim)`; an element is $g$, `(dim,)`.

    A density that is invariant under it can't be normalised along the shift, so `project` removes
    the mean over particles and `null_modes` has `dim` columns, each $1/\sqrt n$ on one coordinate
    of every particle.

    **Raises:** `ValueError` if an event isn't of shape `(particles, dim)`.

    **Example:**

    ```pycon
    >>> shift = hf.groups.Translation()
    >>> x = jnp.array([[0.0, 0.0], [2.0, 4.0]])
    >>> shift.project(x)  # without the mean
    Array([[-1., -2.],
           [ 1.,  2.]], dtype=float32)
    >>> shift.null_modes(x).shape
    (4, 2)
    ```
    """

    def sample(self, key: PRNGKeyArray, event_shape: tuple[int, ...]) -> Float[Array, " dim"]:
        _, dim = _particles(event_shape)
        return jax.random.normal(key, (dim,))

    def act(
        self, g: Float[Array, " dim"], x: Float[Array, "particles dim"]
    ) -> Float[Array, "particles dim"]:
        return x + g

    def inverse(self, g: Float[Array, " dim"]) -> Float[Array, " dim"]:
        return -g

    def compose(self, g: Float[Array, " dim"], h: Float[Array, " dim"]) -> Float[Array, " dim"]:
        return g + h

    def align(
        self, x: Float[Array, "particles dim"], y: Float[Array, "particles dim"]
    ) -> Float[Array, " dim"]:
        """The shift that brings the means together."""
        return y.mean(0) - x.mean(0)

    def project(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        _particles(x.shape)
        return x - x.mean(0, keepdims=True)

    def null_modes(self, x: Float[Array, "*event"]) -> Float[Array, "flat null"]:
        particles, dim = _particles(x.shape)
        return jnp.tile(jnp.eye(dim, dtype=x.dtype), (particles, 1)) / jnp.sqrt(
            jnp.asarray(particles, x.dtype)
        )

    def tangents(self, x: Float[Array, "*event"]) -> Float[Array, "flat generators"]:
        return self.null_modes(x)


def _particles(event_shape: tuple[int, ...]) -> tuple[int, int]:
    if len(event_shape) != 2:
        raise ValueError(
            f"Translation acts on events of shape (particles, dim), got {event_shape}. Reshape the "
            "event, or use Trivial() if it isn't made of particles."
        )
    return event_shape[0], event_shape[1]
