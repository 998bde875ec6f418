"""The parts of the image network: convolution, group norm, residual block, attention, resampling.

Channels come last: under `vmap` XLA turns each layer into one batched convolution, and on CPUs this
layout is the fastest when Jacobian products are batched too (1.2 to 2 times faster than channels first,
3 to 9 times faster than products of gathered patches).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.networks._convolution import convolution


class Convolution(eqx.Module):
    """A square convolution of odd `side` that keeps the image's size, in the input's dtype."""

    weight: Float[Array, "side side from to"]
    bias: Float[Array, " to"]

    def __init__(self, channels: int, new_channels: int, side: int = 3, *, key: PRNGKeyArray):
        shape = (side, side, channels, new_channels)
        self.weight = jax.random.normal(key, shape) / math.sqrt(side * side * channels)
        self.bias = jnp.zeros(new_channels)

    def __call__(self, x: Float[Array, "height width from"]) -> Float[Array, "height width to"]:
        weight, bias = self.weight.astype(x.dtype), self.bias.astype(x.dtype)
        if weight.shape[0] == 1:
            return x @ weight[0, 0] + bias
        height, width, _ = x.shape
        least = weight.shape[0]
        if min(height, width) >= least:
            return convolution(x[None], weight)[0] + bias
        # XLA's CPU code for images smaller than the kernel is slow. Added zeros change nothing, and the
        # barriers keep XLA from leaving them out, of the derivatives too.
        x = jnp.pad(x, ((0, max(0, least - height)), (0, max(0, least - width)), (0, 0)))
        (y,) = convolution(jax.lax.optimization_barrier(x)[None], weight)
        return jax.lax.optimization_barrier(y)[:height, :width] + bias


class GroupNorm(eqx.Module):
    r"""$\gamma\,(x - m)/\sqrt{s^2 + 10^{-5}} + \beta$, with the mean and variance of each group of
    channels over the whole image: at most eight groups, of four or more channels (Wu and He, 2018,
    arXiv:1803.08494). A low-precision input gives statistics and output in float32."""

    scale: Float[Array, " channels"]
    shift: Float[Array, " channels"]
    groups: int = eqx.field(static=True)

    def __init__(self, channels: int):
        self.scale = jnp.ones(channels)
        self.shift = jnp.zeros(channels)
        fitting = (g for g in range(1, 9) if channels % g == 0 and channels >= 4 * g)
        self.groups = max(fitting, default=1)

    def __call__(
        self, x: Float[Array, "height width channels"]
    ) -> Float[Array, "height width channels"]:
        pixels = x.astype(jnp.promote_types(x.dtype, jnp.float32)).reshape(-1, x.shape[-1])
        centred = pixels - self._mean(pixels)
        scale = jax.lax.rsqrt(self._mean(centred**2) + 1e-5) * self.scale.astype(pixels.dtype)
        return (centred * scale + self.shift.astype(pixels.dtype)).reshape(x.shape)

    def _mean(self, pixels: Float[Array, "pixels channels"]) -> Float[Array, " channels"]:
        # As products: on CPUs they take two thirds of a sum's time, with its derivatives.
        count, channels = pixels.shape
        member = jnp.repeat(
            jnp.eye(self.groups, dtype=pixels.dtype), channels // self.groups, axis=1
        )
        with jax.default_matmul_precision("highest"):
            total = jnp.ones(count, pixels.dtype) @ pixels @ member.T
            return total @ member * (self.groups / pixels.size)


class Block(eqx.Module):
    """Two convolutions beside a shortcut; the time scales and shifts what lies between them."""

    first_norm: GroupNorm
    first: Convolution
    clock: eqx.nn.Linear
    second_norm: GroupNorm
    second: Convolution
    shortcut: Convolution | None

    def __init__(self, channels: int, new_channels: int, features: int, *, key: PRNGKeyArray):
        k_first, k_clock, k_second, k_shortcut = jax.random.split(key, 4)
        self.first_norm = GroupNorm(channels)
        self.first = Convolution(channels, new_channels, key=k_first)
        self.clock = eqx.nn.Linear(features, 2 * new_channels, key=k_clock)
        self.second_norm = GroupNorm(new_channels)
        self.second = zeros(Convolution(new_channels, new_channels, key=k_second))
        same = channels == new_channels
        self.shortcut = None if same else Convolution(channels, new_channels, 1, key=k_shortcut)

    def __call__(
        self, clock: Float[Array, " features"], x: Float[Array, "height width from"]
    ) -> Float[Array, "height width to"]:
        y = self.first(jax.nn.silu(self.first_norm(x)).astype(x.dtype))
        scale, shift = jnp.split(dense(self.clock, clock), 2)
        y = jax.nn.silu(self.second_norm(y) * (1 + scale) + shift)
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return shortcut + self.second(y.astype(x.dtype))


class Attention(eqx.Module):
    """Every pixel asks all others (Vaswani et al., 2017, arXiv:1706.03762), beside a shortcut."""

    norm: GroupNorm
    ask: Convolution
    answer: Convolution
    heads: int = eqx.field(static=True)

    def __init__(self, channels: int, heads: int, *, key: PRNGKeyArray):
        k_ask, k_answer = jax.random.split(key)
        self.norm = GroupNorm(channels)
        self.ask = Convolution(channels, 3 * channels, 1, key=k_ask)
        self.answer = zeros(Convolution(channels, channels, 1, key=k_answer))
        self.heads = heads

    def __call__(
        self, x: Float[Array, "height width channels"]
    ) -> Float[Array, "height width channels"]:
        asked = self.ask(self.norm(x).astype(x.dtype))
        asked = asked.reshape(-1, 3, self.heads, x.shape[-1] // self.heads)
        query, key, value = asked[:, 0], asked[:, 1], asked[:, 2]
        scores = jnp.einsum("qhc,khc->hqk", query, key) / math.sqrt(query.shape[-1])
        wide = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        shares = jax.nn.softmax(wide).astype(x.dtype)
        return x + self.answer(jnp.einsum("hqk,khc->qhc", shares, value).reshape(x.shape))


def to_patches(
    x: Float[Array, "height width channels"], side: int
) -> Float[Array, "h w patch_channels"]:
    """Squares of pixels as the channels of one pixel; zeros complete the last ones."""
    height, width, channels = x.shape
    x = jnp.pad(x, ((0, -height % side), (0, -width % side), (0, 0)))
    h, w = x.shape[0] // side, x.shape[1] // side
    return x.reshape(h, side, w, side, channels).swapaxes(1, 2).reshape(h, w, -1)


def from_patches(
    y: Float[Array, "h w patch_channels"], side: int, height: int, width: int
) -> Float[Array, "height width channels"]:
    """The pixels back, cut to a size."""
    h, w, _ = y.shape
    y = y.reshape(h, w, side, side, -1).swapaxes(1, 2)
    return y.reshape(h * side, w * side, -1)[:height, :width]


def enlarged(
    x: Float[Array, "h w channels"], height: int, width: int
) -> Float[Array, "height width channels"]:
    """Twice the size by nearest neighbours, cut to the size that was halved."""
    return jnp.repeat(jnp.repeat(x, 2, axis=0), 2, axis=1)[:height, :width]


def dense(linear: eqx.nn.Linear, x: Float[Array, " from"]) -> Float[Array, " to"]:
    """The linear map in the input's dtype."""
    assert linear.bias is not None
    return linear.weight.astype(x.dtype) @ x + linear.bias.astype(x.dtype)


def zeros(module: Convolution) -> Convolution:
    """The same layer with all weights 0."""
    return jax.tree.map(jnp.zeros_like, module)
