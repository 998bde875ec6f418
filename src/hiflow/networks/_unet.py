"""The network for images: residual convolutions at several resolutions, with skip connections."""

import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow._border import border
from hiflow._border import key as one_key
from hiflow._checks import as_shape, check_event
from hiflow.groups import AbstractGroup, Trivial
from hiflow.networks._base import AbstractVelocityField, registry
from hiflow.networks._conditioned import arguments_of, clock, clock_size, make_conditions
from hiflow.networks._conditions import AbstractConditions
from hiflow.networks._low_products import COMPUTE
from hiflow.networks._unet_layers import (
    Attention,
    Block,
    Convolution,
    GroupNorm,
    dense,
    enlarged,
    from_patches,
    to_patches,
    zeros,
)


class Size(NamedTuple):
    """What the name of a size stands for."""

    width: int
    multipliers: tuple[int, ...]
    blocks: int
    heads: int
    patch: int


SIZES = {
    "tiny": Size(width=24, multipliers=(1, 2), blocks=1, heads=4, patch=2),
    "small": Size(width=64, multipliers=(1, 2, 2), blocks=2, heads=4, patch=1),
    "base": Size(width=128, multipliers=(1, 2, 2), blocks=3, heads=4, patch=1),
}


@registry.register("unet")
class UNet(AbstractVelocityField):
    """A U-Net for images of shape `(height, width)` or `(height, width, channels)`.

    Residual blocks of 3×3 convolutions see the image at a few resolutions, each half the one before
    (rounded up), and every pixel of the lowest one attends to all others. On the way up each
    resolution joins what it saw on the way down. The time scales and shifts every block's features.
    The last convolution starts at 0, so an untrained network is the zero field.

    After Ronneberger, Fischer and Brox (2015, arXiv:1505.04597), with the blocks of Dhariwal and
    Nichol (2021, arXiv:2105.05233). Three details are ours: images are halved by making 2×2 pixels the
    channels of one, channels are reduced before an image is enlarged, and there is one skip
    connection per resolution.

    | `size` | width | multipliers | blocks | heads | patch | weights at 28×28 | meant for |
    |---|---|---|---|---|---|---|---|
    | `"tiny"` | 24 | 1, 2 | 1 | 4 | 2 | 0.15 million | a CPU: 0.1 s per training step of 64 images |
    | `"small"` | 64 | 1, 2, 2 | 2 | 4 | 1 | 3.4 million | many CPU cores, a GPU |
    | `"base"` | 128 | 1, 2, 2 | 3 | 4 | 1 | 20 million | a GPU |

    **Arguments:**

    - `shape`: the event's shape; sides of at least 4, which may be odd.
    - `size`: a row of the table, of which the arguments below replace what they name.
    - `width`: channels at the highest resolution.
    - `multipliers`: channels at each resolution, from the highest, in units of `width`.
    - `blocks`: residual blocks per resolution, on the way down and up.
    - `heads`: of the attention; must divide the channels of the lowest resolution.
    - `patch`: side of the squares of pixels that the network handles as one, with more channels.
    - `compute`: `"float32"`, or `"bfloat16"` for convolutions and products alone: weights, the norms'
      statistics and the velocity keep float32. `"auto"` is bfloat16 for float32 images on anything
      but a CPU. An adaptive solver with a small tolerance struggles with bfloat16's rounding: see
      `with_compute`. In float32 JAX's own `jax_default_matmul_precision` decides, as anywhere.
    - `classes`, `condition_size`: of the conditions, if there are any: how many labels, or the length of
      a vector.
    - `key`: for the initial weights.

    **Raises:** `ValueError` if an argument is none of these, or an event has another shape.

    **Example:**

    ```pycon
    >>> images = hf.networks.UNet((8, 8), width=8, multipliers=(1,), classes=10, key=key)
    >>> images(jnp.asarray(0.5), jnp.ones((8, 8)), 3).shape  # under label 3
    (8, 8)
    ```
    """

    event_shape: tuple[int, ...] = eqx.field(static=True)
    group: AbstractGroup
    compute: str = eqx.field(static=True)
    patch: int = eqx.field(static=True)
    clock: tuple[eqx.nn.Linear, eqx.nn.Linear]
    stem: Convolution
    down: tuple[tuple[Block, ...], ...]
    shrink: tuple[Convolution, ...]
    before: tuple[Block, ...]
    attention: Attention
    after: tuple[Block, ...]
    grow: tuple[Convolution, ...]
    up: tuple[tuple[Block, ...], ...]
    norm: GroupNorm
    head: Convolution
    conditions: AbstractConditions | None

    @border("UNet", key=one_key)
    def __init__(
        self,
        shape: int | Iterable[int],
        size: str = "tiny",
        *,
        width: int | None = None,
        multipliers: Sequence[int] | None = None,
        blocks: int | None = None,
        heads: int | None = None,
        patch: int | None = None,
        compute: str = "auto",
        classes: int | None = None,
        condition_size: int | None = None,
        key: PRNGKeyArray,
    ):
        self.event_shape = _image_shape(shape)
        replaced = {
            "width": width,
            "multipliers": None if multipliers is None else tuple(multipliers),
            "blocks": blocks,
            "heads": heads,
            "patch": patch,
        }
        chosen = _size(size, {name: value for name, value in replaced.items() if value is not None})
        self.group, self.patch, self.compute = Trivial(), chosen.patch, _compute(compute)
        pixel = chosen.patch**2 * (self.event_shape[2] if len(self.event_shape) == 3 else 1)
        widths = [chosen.width * multiplier for multiplier in chosen.multipliers]
        steps = list(itertools.pairwise(widths))
        features, keys = 2 * chosen.width, _keys(key)
        self.conditions = make_conditions("UNet", classes, condition_size, key)

        def stage(first: int, channels: int) -> tuple[Block, ...]:
            inputs = [first, *[channels] * (chosen.blocks - 1)]
            return tuple(Block(each, channels, features, key=next(keys)) for each in inputs)

        self.clock = (
            eqx.nn.Linear(clock_size(self.conditions), features, key=next(keys)),
            eqx.nn.Linear(features, features, key=next(keys)),
        )
        self.stem = Convolution(pixel, widths[0], key=next(keys))
        self.down = tuple(stage(here, here) for here in widths[:-1])
        self.shrink = tuple(Convolution(4 * a, b, 1, key=next(keys)) for a, b in steps)
        self.before = stage(widths[-1], widths[-1])
        self.attention = Attention(widths[-1], chosen.heads, key=next(keys))
        self.after = stage(widths[-1], widths[-1])
        self.grow = tuple(Convolution(b, a, 1, key=next(keys)) for a, b in reversed(steps))
        self.up = tuple(stage(2 * here, here) for here in reversed(widths[:-1]))
        self.norm = GroupNorm(widths[0])
        self.head = zeros(Convolution(widths[0], pixel, key=next(keys)))

    def constructor_arguments(self) -> dict[str, Any]:
        """What it was made with, except for `key`."""
        width = int(self.clock[0].out_features) // 2
        channels = [stage.bias.size for stage in (self.stem, *self.shrink)]
        return {
            "shape": self.event_shape,
            "width": width,
            "multipliers": tuple(each // width for each in channels),
            "blocks": len(self.before),
            "heads": self.attention.heads,
            "patch": self.patch,
            "compute": self.compute,
            **arguments_of(self.conditions),
        }

    @classmethod
    def example(cls) -> "UNet":
        """A small instance, as `hiflow check unet` takes without arguments."""
        return cls((4, 4), width=4, heads=2, key=jax.random.key(0))

    def __call__(
        self, t: Float[Array, ""], x: Float[Array, "*event"], condition: PyTree = None
    ) -> Float[Array, "*event"]:
        check_event(x, self.event_shape, owner="UNet")
        now = clock(t.astype(x.dtype), self.conditions, condition)
        for linear in self.clock:
            now = jax.nn.silu(dense(linear, now))
        image = x.reshape(*self.event_shape[:2], -1)
        y = self.stem(to_patches(image, self.patch).astype(self._compute_dtype(x.dtype)))
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            y = _through(blocks, now, y)
            skips.append(y)
            y = shrink(to_patches(y, 2))
        y = _through(self.before, now, y)
        y = _through(self.after, now, self.attention(y))
        for grow, blocks, skip in zip(self.grow, self.up, reversed(skips), strict=True):
            joined = [skip, enlarged(grow(y), *skip.shape[:2])]
            y = _through(blocks, now, jnp.concatenate(joined, axis=-1))
        y = self.head(jax.nn.silu(self.norm(y)).astype(x.dtype))
        return from_patches(y, self.patch, *image.shape[:2]).reshape(x.shape)

    def with_compute(self, compute: str) -> "UNet":
        """The same weights with another `compute`: float32 for likelihoods after training in bfloat16.

        **Raises:** `ValueError` for an unknown one.
        """
        other = copy.copy(self)
        object.__setattr__(other, "compute", _compute(compute))
        return other

    def _compute_dtype(self, dtype: DTypeLike) -> DTypeLike:
        fast = dtype == jnp.float32 and jax.default_backend() != "cpu"
        low = self.compute == "bfloat16" or (self.compute == "auto" and fast)
        return jnp.bfloat16 if low else dtype


def _through(
    blocks: tuple[Block, ...],
    clock: Float[Array, " features"],
    y: Float[Array, "height width from"],
) -> Float[Array, "height width to"]:
    for block in blocks:
        y = block(clock, y)
    return y


def _image_shape(shape: int | Iterable[int]) -> tuple[int, ...]:
    found = as_shape(shape)
    if len(found) not in (2, 3) or min(found[:2]) < 4:
        raise ValueError(
            "UNet: `shape` must be (height, width) or (height, width, channels) with sides of at least "
            f"4, got {found}. MLP takes events of any shape."
        )
    return found


def _size(name: str, replaced: dict[str, int | tuple[int, ...]]) -> Size:
    if name not in SIZES:
        raise ValueError(
            f"UNet: `size` must be {', '.join(map(repr, SIZES))}, got {name!r}. Pass `width`, "
            "`multipliers` and `blocks` for another one."
        )
    size = SIZES[name]._replace(**replaced)
    for field, value in size._asdict().items():
        if min(value if isinstance(value, tuple) else (value,), default=0) < 1:
            raise ValueError(f"UNet: `{field}` must be at least 1, got {value}.")
    lowest = size.width * size.multipliers[-1]
    if lowest % size.heads:
        raise ValueError(
            f"UNet: `heads` must divide the {lowest} channels of the lowest resolution, got "
            f"{size.heads}. Pass another number, or another `width`."
        )
    return size


def _compute(name: str) -> str:
    if name not in COMPUTE:
        raise ValueError(f"UNet: `compute` must be {', '.join(map(repr, COMPUTE))}, got {name!r}.")
    return name


def _keys(key: PRNGKeyArray) -> Iterator[PRNGKeyArray]:
    while True:
        key, one = jax.random.split(key)
        yield one
