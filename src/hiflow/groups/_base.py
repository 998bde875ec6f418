"""What a symmetry group is: elements that act on events, and the directions that it leaves free."""

import abc
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow._summaries import Component
from hiflow.registry import Registry

Element = TypeVar("Element")


class AbstractGroup(Component, Generic[Element]):
    """A group with an isometric action $x \\mapsto gx$ on events.

    Laws (`hiflow.testing.check_group`): `act(compose(g, h), x) = act(g, act(h, x))`,
    `act(inverse(g), act(g, x)) = x`, distances are kept, `project` is a linear idempotent
    that commutes with the group's linear part, `null_modes` is an orthonormal basis of what
    `project` removes, and `tangents` move with the event and span the null modes too.

    An element may be any PyTree. Only a *translation* removes directions: along it no invariant
    density can be normalised, so densities live on the image of `project`. A group without
    continuous directions needs four methods only: subclass
    [`AbstractDiscreteGroup`][hiflow.groups.AbstractDiscreteGroup].

    **Example:**

    ```pycon
    >>> class Flip(hf.groups.AbstractDiscreteGroup):  # a continuous one has `project` and more
    ...     def sample(self, key, event_shape):
    ...         return jax.random.rademacher(key, ())
    ...     def act(self, g, x):
    ...         return g * x
    ...     def inverse(self, g):
    ...         return g
    ...     def compose(self, g, h):
    ...         return g * h
    ...
    >>> found = hf.testing.check_group(Flip(), event_shape=(3,))
    ```
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
    """A group without continuous directions: it removes none, and its orbits have no tangents.

    **Example:**

    ```pycon
    >>> class Shifts(hf.groups.AbstractDiscreteGroup):
    ...     def sample(self, key, event_shape):
    ...         return jax.random.randint(key, (), 0, event_shape[0])
    ...     def act(self, g, x):
    ...         return jnp.roll(x, g, axis=0)
    ...     def inverse(self, g):
    ...         return -g
    ...     def compose(self, g, h):
    ...         return g + h
    ...
    >>> Shifts().act(1, jnp.arange(4.0))
    Array([3., 0., 1., 2.], dtype=float32)
    ```
    """

    def project(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """`x`: every direction is free."""
        return x

    def null_modes(self, x: Float[Array, "*event"]) -> Float[Array, "dim null"]:
        """None."""
        return jnp.zeros((x.size, 0), x.dtype)

    def tangents(self, x: Float[Array, "*event"]) -> Float[Array, "dim generators"]:
        """None."""
        return jnp.zeros((x.size, 0), x.dtype)


class AbstractSymmetric(Component):
    """What is for events of one shape, and has a symmetry: an energy, a prior, a velocity field.

    Subclasses give both as fields or properties.

    **Example:**

    ```pycon
    >>> isinstance(ring, hf.groups.AbstractSymmetric)  # as priors and networks are
    True
    >>> ring.event_shape, ring.group
    ((2,), Rotation(dim=2, reflections=True))
    ```
    """

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        event_shape = cast(tuple[int, ...], ...)
        group = cast(AbstractGroup, ...)
    else:
        event_shape: eqx.AbstractVar[tuple[int, ...]]
        group: eqx.AbstractVar[AbstractGroup]


@runtime_checkable
class SupportsAlignment(Protocol):
    """A group that can bring one event near to another, as symmetry-aligned couplings need.

    **Example:**

    ```pycon
    >>> turn = hf.groups.Rotation(2)
    >>> isinstance(turn, hf.groups.SupportsAlignment)
    True
    >>> g = turn.align(jnp.array([1.0, 0.0]), jnp.array([0.0, 2.0]))
    >>> turn.act(g, jnp.array([1.0, 0.0])).round(3)
    Array([0., 1.], dtype=float32)
    ```
    """

    def align(self, x: Float[Array, "*event"], y: Float[Array, "*event"]) -> PyTree:
        r"""An element $g$ that makes $\|gx - y\|$ small: the least for a single factor, a fixed point
        of alternating over the factors for a product."""
        ...


@runtime_checkable
class SupportsPeriods(Protocol):
    """A group that shifts coordinates by whole periods, as joints that turn all the way round.

    Densities are normalised over one period of such a coordinate.

    **Example:**

    ```pycon
    >>> class Turns(hf.groups.AbstractDiscreteGroup):
    ...     def sample(self, key, event_shape):
    ...         return jax.random.randint(key, event_shape, -2, 3)
    ...     def act(self, g, x):
    ...         return x + 2 * jnp.pi * g
    ...     def inverse(self, g):
    ...         return -g
    ...     def compose(self, g, h):
    ...         return g + h
    ...     def periods(self, event_shape):
    ...         return 2 * jnp.pi * jnp.ones(event_shape)
    ...
    >>> isinstance(Turns(), hf.groups.SupportsPeriods)
    True
    ```
    """

    def periods(self, event_shape: tuple[int, ...]) -> Float[Array, "*event"]:
        """Every coordinate's period, infinite where it has none."""
        ...


def linear_part(
    group: AbstractGroup, g: PyTree, x: Float[Array, "*event"]
) -> Float[Array, "*event"]:
    """`x` under the linear part of $g$, as it acts on velocities: translations do nothing.

    **Example:**

    ```pycon
    >>> g = jnp.array([1.0, 2.0])
    >>> x = jnp.array([[0.0, 0.0], [2.0, 4.0]])
    >>> shift = hf.groups.Translation()
    >>> hf.groups.linear_part(shift, g, x)  # velocities aren't shifted
    Array([[0., 0.],
           [2., 4.]], dtype=float32)
    ```
    """
    return group.act(g, x) - group.act(g, jnp.zeros_like(x))
