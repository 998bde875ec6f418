"""Permutations of identical particles."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow.groups._base import AbstractGroup


class Permutation(AbstractGroup[Array]):
    r"""$(gx)_i = x_{g(i)}$ along the first axis of an event; an element is an integer permutation.

    **Raises:** `ValueError` if an event has no axis.
    """

    def sample(self, key: PRNGKeyArray, event_shape: tuple[int, ...]) -> Int[Array, " particles"]:
        if not event_shape:
            raise ValueError(
                "Permutation acts on the first axis of an event, but the event has none: use "
                "Trivial() for scalar events."
            )
        return jax.random.permutation(key, event_shape[0])

    def act(
        self, g: Int[Array, " particles"], x: Float[Array, "particles *rest"]
    ) -> Float[Array, "particles *rest"]:
        return x[g]

    def inverse(self, g: Int[Array, " particles"]) -> Int[Array, " particles"]:
        return jnp.argsort(g)

    def compose(
        self, g: Int[Array, " particles"], h: Int[Array, " particles"]
    ) -> Int[Array, " particles"]:
        return h[g]

    def project(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return x

    def null_modes(self, x: Float[Array, "*event"]) -> Float[Array, "flat null"]:
        return jnp.zeros((x.size, 0), x.dtype)
