"""What a symmetry group is: elements that act on events, and the directions that it leaves free."""

import abc
from typing import Generic, TypeVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

Element = TypeVar("Element")


class AbstractGroup(eqx.Module, Generic[Element]):
    """A group with an isometric action $x \\mapsto gx$ on events.

    Laws (`hiflow.testing.check_group`): `act(compose(g, h), x) = act(g, act(h, x))`,
    `act(inverse(g), act(g, x)) = x`, distances are kept, `project` is a linear idempotent
    that commutes with the group's linear part, and `null_modes` is an orthonormal basis of what
    `project` removes.

    An element may be any PyTree. Only a *translation* removes directions: along it no invariant
    density can be normalised, so densities live on the image of `project`.
    """

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray, event_shape: tuple[int, ...]) -> Element:
        """A random element that acts on events of this shape: Haar-distributed where the group is
        compact, standard normal for translations."""

    @abc.abstractmethod
    def act(self, g: Element, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """The element's action on one event."""

    @abc.abstractmethod
    def inverse(self, g: Element) -> Element:
        """The element that undoes `g`."""

    @abc.abstractmethod
    def compose(self, g: Element, h: Element) -> Element:
        """The element that acts as `h` first, then `g`."""

    @abc.abstractmethod
    def project(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """$Px$: the orthogonal projection onto the directions that a density is normalised over."""

    @abc.abstractmethod
    def null_modes(self, x: Float[Array, "*event"]) -> Float[Array, "dim null"]:
        """An orthonormal basis (as columns, over the flattened event) of the directions that
        `project` removes; `(dim, 0)` if there are none."""
