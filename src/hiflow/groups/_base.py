"""What a symmetry group is: elements that act on events, and the directions that it leaves free."""

import abc
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.registry import Registry

Element = TypeVar("Element")


class AbstractGroup(eqx.Module, Generic[Element]):
    """A group with an isometric action $x \\mapsto gx$ on events.

    Laws (`hiflow.testing.check_group`): `act(compose(g, h), x) = act(g, act(h, x))`,
    `act(inverse(g), act(g, x)) = x`, distances are kept, `project` is a linear idempotent
    that commutes with the group's linear part, `null_modes` is an orthonormal basis of what
    `project` removes, and `tangents` move with the event and span the null modes too.

    An element may be any PyTree. Only a *translation* removes directions: along it no invariant
    density can be normalised, so densities live on the image of `project`. A group without
    continuous directions needs four methods only: subclass
    [`AbstractDiscreteGroup`][hiflow.groups.AbstractDiscreteGroup].
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

    @abc.abstractmethod
    def tangents(self, x: Float[Array, "*event"]) -> Float[Array, "dim generators"]:
        r"""The directions $\xi x$ in which the group moves `x`, one column for every generator $\xi$ of
        its Lie algebra, over the flattened event; `(dim, 0)` for a discrete group.

        They span the tangent space of the orbit of `x` and needn't be independent: a collinear
        molecule isn't moved by turning it about its axis.
        """


registry = Registry("groups", AbstractGroup)


class AbstractDiscreteGroup(AbstractGroup[Element]):
    """A group without continuous directions: it removes none, and its orbits have no tangents."""

    def project(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """`x`: every direction is free."""
        return x

    def null_modes(self, x: Float[Array, "*event"]) -> Float[Array, "dim null"]:
        """None."""
        return jnp.zeros((x.size, 0), x.dtype)

    def tangents(self, x: Float[Array, "*event"]) -> Float[Array, "dim generators"]:
        """None."""
        return jnp.zeros((x.size, 0), x.dtype)


class AbstractSymmetric(eqx.Module):
    """What is for events of one shape, and has a symmetry: an energy, a prior, a velocity field.

    Subclasses give both as fields or properties.
    """

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        event_shape = cast(tuple[int, ...], ...)
        group = cast(AbstractGroup, ...)
    else:
        event_shape: eqx.AbstractVar[tuple[int, ...]]
        group: eqx.AbstractVar[AbstractGroup]


@runtime_checkable
class SupportsAlignment(Protocol):
    """A group that can bring one event near to another, as symmetry-aligned couplings need."""

    def align(self, x: Float[Array, "*event"], y: Float[Array, "*event"]) -> Any:
        r"""An element $g$ that makes $\|gx - y\|$ small: the least for a single factor, a fixed point
        of alternating over the factors for a product."""
        ...


@runtime_checkable
class SupportsPeriods(Protocol):
    """A group that shifts coordinates by whole periods, as joints that turn all the way round.

    Densities are normalised over one period of such a coordinate.
    """

    def periods(self, event_shape: tuple[int, ...]) -> Float[Array, "*event"]:
        """Every coordinate's period, infinite where it has none."""
        ...


def linear_part(group: AbstractGroup, g: Any, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
    """`x` under the linear part of $g$, as it acts on velocities: translations do nothing."""
    return group.act(g, x) - group.act(g, jnp.zeros_like(x))


def reference_measure(group: AbstractGroup, event_shape: tuple[int, ...]) -> str:
    """In words, the measure that densities on events of this shape refer to."""
    x = jnp.zeros(event_shape)
    free = x.size - group.null_modes(x).shape[1]
    if isinstance(group, SupportsPeriods):
        return f"Lebesgue measure on R^{free}, one period of every periodic coordinate"
    if free == x.size:
        return f"Lebesgue measure on R^{free}"
    return (
        f"Lebesgue measure on the {free}-dimensional image of {type(group).__name__}.project in "
        f"R^{x.size}"
    )
