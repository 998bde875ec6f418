r"""The exact divergence of the particle network, cheaper than one Jacobian product per coordinate.

All Jacobian columns go through a layer at once. Because a layer sums its messages before it
multiplies them by a matrix, a layer's derivative is a sum over neighbours with weights that depend on
the pair alone, and a matrix product per particle: nothing of size pairs × coordinates × width is
ever formed. The first layer's features don't depend on the positions, and of the last
layer only each particle's derivative in its own position is needed.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hiflow.networks._egnn_layer import (
    Layer,
    activation,
    gather,
    geometry,
    over,
    radial_features,
)


def shift_and_divergence(
    layers: tuple[Layer, ...],
    clock: Float[Array, " features"],
    pace: Float[Array, ""],
    x: Float[Array, "particles dim"],
    h: Float[Array, "particles width"],
) -> tuple[Float[Array, "particles dim"], Float[Array, ""]]:
    r"""The summed shift $V$ of all layers at $X = x + \text{pace} \cdot V$, and its divergence. $h$
    mustn't depend on $x$."""
    columns = jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
    v, dv, dh = jnp.zeros_like(x), jnp.zeros_like(columns), None
    for layer in layers[:-1]:
        shift, h, rows = _linearise(layer, clock, x + pace * v, h)
        d_shift, dh = _all_particles(layer, rows, columns + pace * dv, dh)
        v, dv = v + shift, dv + d_shift
    shift, h, rows = _linearise(layers[-1], clock, x + pace * v, h)
    trace = _own_position(layers[-1], rows, columns + pace * dv, dh)
    return v + shift, jnp.einsum("mm->", dv.reshape(x.size, x.size)) + trace


class Row(NamedTuple):
    """The derivative of one particle's shift and new features: `o` runs over the sums that its
    features see (2 × width), `by_` names what a weight multiplies."""

    particle: Int[Array, ""]
    by_message: Float[Array, "j o"]
    by_offset: Float[Array, "j dim o"]
    shift_by_message: Float[Array, "j dim width"]
    shift_by_offset: Float[Array, "j dim dim"]
    rate: Float[Array, " width"]
    vector: Float[Array, "dim width"]


def _linearise(
    layer: Layer,
    clock: Float[Array, " features"],
    x: Float[Array, "particles dim"],
    h: Float[Array, "particles width"],
) -> tuple[Float[Array, "particles dim"], Float[Array, "particles width"], Row]:
    """The layer's shift and features, and a `Row` per particle."""
    space = geometry(x)
    squared = (space.offset**2).sum(-1)
    _, slope = jax.jvp(radial_features, (squared,), (2 * jnp.ones_like(squared),))
    messages, rate = _with_slope(layer.edges(clock, space, h))
    total, vector, length = gather(space, messages)
    hidden, hidden_rate = _with_slope(layer.nodes(clock, h, total, length))
    h = h + over(layer.update, hidden)
    gate = over(layer.gate, h)

    stretch = rate * over(layer.radial, slope)
    scale = 1 / math.sqrt(x.shape[0] - 1)
    normal = vector / length[:, None]
    along = jnp.einsum("icw,ijc->ijw", normal, space.step)
    weight_total = jnp.broadcast_to(scale**2 * space.others[..., None], rate.shape)
    weight_length = scale * along
    turn = (scale * space.others * space.shrink)[..., None] * messages
    by_offset_length = turn[:, :, None] * (
        normal[:, None] - along[:, :, None] * space.step[..., None]
    )
    offset = space.offset[..., None]
    rows = Row(
        jnp.arange(x.shape[0]),
        jnp.concatenate([weight_total * rate, weight_length * rate], -1),
        jnp.concatenate(
            [
                (weight_total * stretch)[:, :, None] * offset,
                (weight_length * stretch)[:, :, None] * offset + by_offset_length,
            ],
            -1,
        ),
        scale * space.step[..., None] * (rate * gate[:, None])[:, :, None],
        scale * offset * space.step[:, :, None] * (stretch * gate[:, None]).sum(-1)[..., None, None]
        + (turn * gate[:, None]).sum(-1)[..., None, None]
        * (jnp.eye(x.shape[1], dtype=x.dtype) - space.step[..., None] * space.step[:, :, None]),
        hidden_rate,
        vector,
    )
    return (vector * gate[:, None]).sum(-1), h, rows


def _all_particles(layer, rows, dx, dh):
    """The derivatives of every particle's shift and features, along every column."""
    send = None if dh is None else over(layer.send, dh)
    push = jax.vmap(lambda row: _push(layer, row, dx, dh, send), out_axes=1)
    return push(rows)


def _own_position(layer, rows, dx, dh):
    """The shift's trace: every particle along its own columns only."""
    particles, dim = dx.shape[1:]
    send = None if dh is None else over(layer.send, dh)
    own = jax.tree.map(lambda d: d.reshape(particles, dim, *d.shape[1:]), (dx, dh, send))
    shift, _ = jax.vmap(lambda row, columns: _push(layer, row, *columns))(rows, own)
    return jnp.einsum("icc->", shift)


def _push(layer, row, dx, dh, send):
    """One particle's new derivatives along the columns `m`, from those of all particles."""
    relative = dx[:, row.particle, None] - dx
    sums = jnp.einsum("jco,mjc->mo", row.by_offset, relative)
    shift = jnp.einsum("jcd,mjc->md", row.shift_by_offset, relative)
    before = 0
    if dh is not None:
        own = dh[:, row.particle]
        received = over(layer.receive, own)
        width = own.shape[-1]
        sums = sums + jnp.tile(received, 2) * row.by_message.sum(0)
        sums = sums + jnp.concatenate(
            [
                jnp.einsum("jw,mjw->mw", row.by_message[:, :width], send),
                jnp.einsum("jw,mjw->mw", row.by_message[:, width:], send),
            ],
            -1,
        )
        shift = shift + received @ row.shift_by_message.sum(0).T
        shift = shift + jnp.einsum("jdw,mjw->md", row.shift_by_message, send)
        before = own
        sums = jnp.concatenate([own, sums], -1)
        y = sums @ layer.mix.weight.T
    else:
        y = sums @ layer.mix.weight[:, row.rate.shape[0] :].T
    after = before + (row.rate * y) @ layer.update.weight.T
    return shift + (after @ layer.gate.weight.T) @ row.vector.T, after


def _with_slope(z):
    r"""$\sigma(z)$ and $\sigma'(z)$."""
    return jax.jvp(activation, (z,), (jnp.ones_like(z),))
