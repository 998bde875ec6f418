"""Finite groups given by a table of elements: an element is its row, and alignment tries them all."""

import abc
from typing import TYPE_CHECKING, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow.groups._base import AbstractDiscreteGroup


class AbstractFiniteGroup(AbstractDiscreteGroup[Array]):
    """A group of few elements. A subclass gives its multiplication table and the orbit of an event.

    **Example:**

    ```pycon
    >>> class Sign(hf.groups.AbstractFiniteGroup):
    ...     table = np.array([[0, 1], [1, 0]])
    ...     def orbit(self, x):
    ...         return jnp.stack([x, -x])
    ...
    >>> Sign().act(jnp.asarray(1), jnp.array([2.0, 1.0]))
    Array([-2., -1.], dtype=float32)
    ```
    """

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        table = cast(Int[np.ndarray, "order order"], ...)
    else:
        table: eqx.AbstractVar[Int[np.ndarray, "order order"]]
    """`table[g, h]` is the element that acts as `h` first, then `g`."""

    @abc.abstractmethod
    def orbit(self, x: Float[Array, "*event"]) -> Float[Array, "order *event"]:
        """`x` under every element, in the table's order."""

    def sample(self, key: PRNGKeyArray, event_shape: tuple[int, ...]) -> Int[Array, ""]:
        return jax.random.randint(key, (), 0, self.table.shape[0])

    def act(self, g: Int[Array, ""], x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return self.orbit(x)[g]

    def inverse(self, g: Int[Array, ""]) -> Int[Array, ""]:
        return jnp.asarray(inverses(self.table))[g]

    def compose(self, g: Int[Array, ""], h: Int[Array, ""]) -> Int[Array, ""]:
        return jnp.asarray(self.table)[g, h]

    def align(self, x: Float[Array, "*event"], y: Float[Array, "*event"]) -> Int[Array, ""]:
        """The element with the least distance, of all."""
        distances = jnp.sum((self.orbit(x) - y).reshape(self.table.shape[0], -1) ** 2, axis=1)
        return jnp.argmin(distances)


def inverses(table: Int[np.ndarray, "order order"]) -> Int[np.ndarray, " order"]:
    """For every element the one that undoes it."""
    identity = np.flatnonzero((table == np.arange(table.shape[0])).all(axis=1))[0]
    return np.argmax(table == identity, axis=1)
