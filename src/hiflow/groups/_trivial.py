"""The group of one element: no symmetry."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.groups._base import AbstractGroup


class Trivial(AbstractGroup[tuple[()]]):
    """No symmetry: the only element is the empty tuple, and it does nothing."""

    def sample(self, key: PRNGKeyArray, event_shape: tuple[int, ...]) -> tuple[()]:
        return ()

    def act(self, g: tuple[()], x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return x

    def inverse(self, g: tuple[()]) -> tuple[()]:
        return g

    def compose(self, g: tuple[()], h: tuple[()]) -> tuple[()]:
        return g

    def project(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return x

    def null_modes(self, x: Float[Array, "*event"]) -> Float[Array, "dim null"]:
        return jnp.zeros((x.size, 0), x.dtype)
