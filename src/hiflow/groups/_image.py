"""Turns and mirror images of square grids: the symmetries of images that move pixels onto pixels."""

import functools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hiflow.groups._base import registry
from hiflow.groups._finite import AbstractFiniteGroup


@registry.register("cyclic")
class Cyclic(AbstractFiniteGroup):
    r"""$C_n$ acting on images by turns of $360°/n$, in the plane of two axes of the event.

    **Arguments:**

    - `order`: $n$, 1, 2 or 4: only quarter turns take a grid onto itself.
    - `axes`: the image's height and width among the event's axes.

    **Raises:** `ValueError` for another order, or for quarter turns of an image that isn't square.

    **Example:**

    ```pycon
    >>> quarter = hf.groups.Cyclic(order=4)
    >>> image = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> quarter.act(jnp.asarray(1), image)
    Array([[2., 4.],
           [1., 3.]], dtype=float32)
    >>> quarter.orbit(image).shape
    (4, 2, 2)
    ```
    """

    order: int = eqx.field(static=True, default=4)
    axes: tuple[int, ...] = eqx.field(static=True, converter=tuple, default=(-2, -1))

    def __check_init__(self):
        _check_order("Cyclic", self.order)

    @property
    def table(self) -> Int[np.ndarray, "order order"]:
        """Addition modulo the order."""
        return _dihedral(self.order)[: self.order, : self.order]

    def orbit(self, x: Float[Array, "*event"]) -> Float[Array, "order *event"]:
        """The image turned by every multiple of the angle."""
        return _turns(type(self).__name__, x, self.order, self.axes)


@registry.register("dihedral")
class Dihedral(AbstractFiniteGroup):
    r"""$D_n$ acting on images: the turns of `Cyclic` and their mirror images, $2n$ in all.

    **Arguments and errors:** as `Cyclic`'s.

    **Example:**

    ```pycon
    >>> square = hf.groups.Dihedral(order=4)
    >>> image = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> square.orbit(image).shape  # four turns, and their mirror images
    (8, 2, 2)
    ```
    """

    order: int = eqx.field(static=True, default=4)
    axes: tuple[int, ...] = eqx.field(static=True, converter=tuple, default=(-2, -1))

    def __check_init__(self):
        _check_order("Dihedral", self.order)

    @property
    def table(self) -> Int[np.ndarray, "order order"]:
        """Turns first, then the mirrored image's turns."""
        return _dihedral(self.order)

    def orbit(self, x: Float[Array, "*event"]) -> Float[Array, "order *event"]:
        """All turns of the image, then all turns of its mirror image."""
        mirrored = jnp.flip(x, self.axes[1])
        turns = [_turns(type(self).__name__, y, self.order, self.axes) for y in (x, mirrored)]
        return jnp.concatenate(turns)


def _turns(owner: str, x: Array, order: int, axes: tuple[int, ...]) -> Array:
    if x.ndim < 2 or (order == 4 and x.shape[axes[0]] != x.shape[axes[1]]):
        raise ValueError(
            f"{owner}: quarter turns need a square image in the axes {axes} of the event, got the shape "
            f"{x.shape}. Name the right `axes`, or use order=2."
        )
    return jnp.stack([jnp.rot90(x, k * 4 // order, (axes[0], axes[1])) for k in range(order)])


def _check_order(owner: str, order: int) -> None:
    if order not in (1, 2, 4):
        raise ValueError(
            f"{owner}: `order` must be 1, 2 or 4, got {order}: other turns don't take pixels to pixels."
        )


@functools.cache
def _dihedral(order: int) -> Int[np.ndarray, "order order"]:
    """Element k + order * f mirrors f times, then turns k times; a mirror reverses later turns."""
    turn, mirror = np.arange(2 * order) % order, np.arange(2 * order) // order
    turns = (turn[:, None] + np.where(mirror[:, None], -turn[None], turn[None])) % order
    return turns + order * (mirror[:, None] ^ mirror[None])
