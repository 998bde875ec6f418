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
from jaxtyping import Array, Float

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
    v, dv, dh = jnp.zeros_like(x), None, None
    for layer in layers[:-1]:
        shift, h, row = _linearise(layer, clock, x + pace * v, h)
        if dv is None:
            d_shift, dh = _from_positions(layer, row)
            dv = d_shift
        else:
            d_shift, dh = _from_all(layer, row, columns + pace * dv, dh)
            dv = dv + d_shift
        v = v + shift
    shift, h, row = _linearise(layers[-1], clock, x + pace * v, h)
    if dv is None:
        d_shift, _ = _from_positions(layers[-1], row)
        return v + shift, jnp.einsum("mm->", d_shift.reshape(x.size, x.size))
    trace = _own_position(layers[-1], row, columns + pace * dv, dh)
    return v + shift, jnp.einsum("mm->", dv.reshape(x.size, x.size)) + trace


class Row(NamedTuple):
    """The derivative of every particle's shift and new features: `o` runs over the sums that its
    features see (2 × width), over its shift (dim) and, if there is one, its handedness; `by_` names
    what a weight multiplies."""

    by_offset: Float[Array, "i j dim o"]
    by_message: Float[Array, "i j sums"]
    shift_by_message: Float[Array, "i j d width"]  # d: the shift's and the handedness
    rate: Float[Array, "i width"]
    shift_by_feature: Float[Array, "i dim width"]


def _linearise(
    layer: Layer,
    clock: Float[Array, " features"],
    x: Float[Array, "particles dim"],
    h: Float[Array, "particles width"],
) -> tuple[Float[Array, "particles dim"], Float[Array, "particles width"], Row]:
    """The layer's shift and features, and a `Row`."""
    space = geometry(x)
    squared = (space.offset**2).sum(-1)
    _, slope = jax.jvp(radial_features, (squared,), (2 * jnp.ones_like(squared),))
    messages, rate = _with_slope(layer.edges(clock, space, h))
    total, vector, length = gather(space, messages)
    y, twist = layer.nodes(clock, h, total, length), None
    if layer.handedness is not None:
        handed, twist = layer.handedness.with_slope(vector)
        y = y + handed[:, None] * layer.handedness.weight
    hidden, hidden_rate = _with_slope(y)
    h = h + over(layer.update, hidden)
    gate = over(layer.gate, h)

    heard_slope = over(layer.radial, slope)
    if layer.pairs is not None:
        heard_slope = layer.pairs.stretched(heard_slope)
    stretch = rate * heard_slope
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
    along_pair = offset * (stretch * gate[:, None]).sum(-1)[..., None, None]
    across_pair = (turn * gate[:, None]).sum(-1)[..., None, None] * (
        jnp.eye(x.shape[1], dtype=x.dtype) - space.step[..., None] * space.step[:, :, None]
    )
    by_offset = [
        (weight_total * stretch)[:, :, None] * offset,
        (weight_length * stretch)[:, :, None] * offset + by_offset_length,
        scale * along_pair * space.step[:, :, None] + across_pair,
    ]
    shift_by_message = scale * space.step[..., None] * (rate * gate[:, None])[:, :, None]
    if twist is not None:
        along = jnp.einsum("icw,ijc->ijw", twist, space.step)
        by_offset_handed = (
            offset[..., 0] * (scale * stretch * along).sum(-1, keepdims=True)
            + jnp.einsum("ijw,icw->ijc", turn, twist)
            - (turn * along).sum(-1, keepdims=True) * space.step
        )
        by_offset.append(by_offset_handed[..., None])
        shift_by_message = jnp.concatenate(
            [shift_by_message, (scale * along * rate)[:, :, None]], 2
        )
    row = Row(
        jnp.concatenate(by_offset, -1),
        jnp.concatenate([weight_total * rate, weight_length * rate], -1),
        shift_by_message,
        hidden_rate,
        vector @ layer.gate.weight,
    )
    return (vector * gate[:, None]).sum(-1), h, row


def _from_positions(layer, row):
    """The derivatives of every particle's shift and features, along every position, where the features
    that go in don't depend on the positions."""
    particles, _, dim, _ = row.by_offset.shape
    # What moves particle j alone changes the offsets X_i − X_j, and all of j's own.
    moved = jnp.transpose(-row.by_offset, (1, 2, 0, 3))
    own = jnp.arange(particles)
    moved = moved.at[own, :, own].add(row.by_offset.sum(1))
    return _after_sums(layer, row, moved.reshape(particles * dim, particles, -1), None)


def _from_all(layer, row, dx, dh):
    """The same along columns `m` in which positions and features change."""
    sums = jnp.einsum("mic,ico->mio", dx, row.by_offset.sum(1))
    sums = sums - jnp.einsum("mjc,ijco->mio", dx, row.by_offset)
    send, received = over(layer.send, dh), over(layer.receive, dh)
    width = dh.shape[-1]
    shift = jnp.einsum("miw,idw->mid", received, row.shift_by_message.sum(1))
    shift = shift + jnp.einsum("mjw,ijdw->mid", send, row.shift_by_message)
    by_message = row.by_message.reshape(*row.by_message.shape[:2], 2, width)
    felt = jnp.einsum("mjw,ijsw->misw", send, by_message)
    felt = felt + received[:, :, None] * by_message.sum(1)
    felt = felt.reshape(*felt.shape[:2], 2 * width)
    return _after_sums(layer, row, sums + jnp.concatenate([felt, shift], -1), dh)


def _own_position(layer, row, dx, dh):
    """The shift's trace: every particle along its own columns only."""
    particles, dim = dx.shape[1:]
    dx, dh = (d.reshape(particles, dim, *d.shape[1:]) for d in (dx, dh))
    own = jnp.arange(particles)
    relative = dx[own, :, own][:, :, None] - dx
    sums = jnp.einsum("imjc,ijco->imo", relative, row.by_offset)
    send, received = over(layer.send, dh), over(layer.receive, dh[own, :, own])
    width = dh.shape[-1]
    shift = jnp.einsum("imw,idw->imd", received, row.shift_by_message.sum(1))
    shift = shift + jnp.einsum("imjw,ijdw->imd", send, row.shift_by_message)
    by_message = row.by_message.reshape(*row.by_message.shape[:2], 2, width)
    felt = (send[:, :, :, None] * by_message[:, None]).sum(2)
    felt = felt + received[:, :, None] * by_message.sum(1)[:, None]
    felt = felt.reshape(*felt.shape[:2], 2 * width)
    sums = sums + jnp.concatenate([felt, shift], -1)
    swapped = jnp.swapaxes(sums, 0, 1), jnp.swapaxes(dh[own, :, own], 0, 1)
    shift, _ = _after_sums(layer, row, *swapped)
    return jnp.einsum("cic->", shift)


def _after_sums(layer, row, sums, before):
    """From the derivatives `(m, i, o)` of sums, and of features, to those of shift and new features."""
    width = row.rate.shape[-1]
    dim = row.shift_by_feature.shape[1]
    sums, shift, handed = jnp.split(sums, [2 * width, 2 * width + dim], axis=-1)
    y = sums @ layer.mix.weight[:, width:].T
    if layer.handedness is not None:
        y = y + handed * layer.handedness.weight
    if before is not None:
        y = y + before @ layer.mix.weight[:, :width].T
    after = (row.rate * y) @ layer.update.weight.T
    after = after if before is None else before + after
    return shift + jnp.einsum("miw,idw->mid", after, row.shift_by_feature), after


def _with_slope(z):
    r"""$\sigma(z)$ and $\sigma'(z)$."""
    return jax.jvp(activation, (z,), (jnp.ones_like(z),))
