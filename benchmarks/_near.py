"""The particle network on near pairs only, with its exact divergence: what `neighbours.py` measures."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from hiflow.groups import AbstractGroup
from hiflow.networks import EGNN, AbstractVelocityField
from hiflow.networks._egnn_divergence import Row, _after_sums, _from_all, _own_position, _with_slope
from hiflow.networks._egnn_layer import activation, over, radial_features
from hiflow.networks._time import time_features


class Near(AbstractVelocityField):
    r"""`network` with messages along the nearest `neighbours` pairs of each particle, times the envelope
    $e(d) = (1 - d^2/c^2)_+^3$ inside the cutoff $c$, in lengths.

    It is twice differentiable as long as no particle has more than `neighbours` inside. The divergence's
    sums over neighbours run over those K where `gathered`, else over all N with zeros between.
    """

    network: EGNN
    event_shape: tuple[int, int] = eqx.field(static=True)
    group: AbstractGroup
    neighbours: int = eqx.field(static=True)
    cutoff: float = eqx.field(static=True)
    gathered: bool = eqx.field(static=True)

    def __init__(self, network: EGNN, neighbours: int, cutoff: float, gathered: bool = False):
        self.network, self.neighbours, self.cutoff = network, neighbours, cutoff
        self.event_shape, self.group, self.gathered = network.event_shape, network.group, gathered

    def __call__(self, t, x):
        network = self.network
        with jax.default_matmul_precision("highest"):
            clock, shift, h = (
                time_features(t),
                jnp.zeros_like(x),
                network.features(time_features(t)),
            )
            for layer in network.layers:
                position = x / network.length + network.pace(t) * shift
                near, offset, squared = self.pairs(position)
                z = edges(layer, clock, h, near, squared)
                messages = self.envelope(squared)[..., None] * activation(z)
                total, vector, length = summed(offset, squared, messages, len(x))
                h = h + over(layer.update, activation(layer.nodes(clock, h, total, length)))
                shift = shift + (vector * over(layer.gate, h)[:, None]).sum(-1)
            v = network.length * shift + network.expansion(t) * x
        return v - v.mean(0)

    def velocity_and_divergence(self, t, x):
        network, v, dv, dh = self.network, jnp.zeros_like(x), None, None
        pace, columns = network.pace(t), jnp.eye(x.size).reshape(x.size, *x.shape)
        all_of, own_of = (
            (gathered_all, gathered_own) if self.gathered else (_from_all, _own_position)
        )
        with jax.default_matmul_precision("highest"):
            clock, h = time_features(t), network.features(time_features(t))
            for layer in network.layers[:-1]:
                shift, h, near, row = self.linearised(
                    layer, clock, x / network.length + pace * v, h
                )
                row = (near, row) if self.gathered else spread(near, row)
                if dv is None:
                    dv, dh = from_positions(layer, near, row[1] if self.gathered else row)
                else:
                    d_shift, dh = all_of(layer, row, columns + pace * dv, dh)
                    dv = dv + d_shift
                v = v + shift
            assert dv is not None, "more layers than one"
            layer = network.layers[-1]
            shift, h, near, row = self.linearised(layer, clock, x / network.length + pace * v, h)
            row = (near, row) if self.gathered else spread(near, row)
            trace = own_of(layer, row, columns + pace * dv, dh)
            divergence = jnp.einsum("mm->", dv.reshape(x.size, x.size)) + trace
        expansion = network.expansion(t)
        v = network.length * (v + shift) + expansion * x
        return v - v.mean(0), divergence + expansion * (x.size - x.shape[1])

    def pairs(self, x):
        """Who is near, X_i − X_j, and their squares."""
        squared = ((x[:, None] - x[None]) ** 2).sum(-1) + 1e9 * jnp.eye(len(x))
        _, near = jax.lax.top_k(-jax.lax.stop_gradient(squared), self.neighbours)
        offset = x[:, None] - x[near]
        return near, offset, (offset**2).sum(-1)

    def envelope(self, squared):
        return jnp.maximum(1 - squared / self.cutoff**2, 0) ** 3

    def linearised(self, layer, clock, x, h):
        """As the library's `_linearise`, on K pairs each and with the envelope."""
        near, offset, squared = self.pairs(x)
        ones = jnp.ones_like(squared)
        _, slope = jax.jvp(radial_features, (squared,), (2 * ones,))
        inside, falls = jax.jvp(self.envelope, (squared,), (2 * ones,))
        raw, raw_rate = _with_slope(edges(layer, clock, h, near, squared))
        messages, rate = inside[..., None] * raw, inside[..., None] * raw_rate
        total, vector, length = summed(offset, squared, messages, len(x))
        hidden, hidden_rate = _with_slope(layer.nodes(clock, h, total, length))
        h = h + over(layer.update, hidden)
        gate = over(layer.gate, h)

        stretch = rate * over(layer.radial, slope) + falls[..., None] * raw
        scale, shrink = 1 / math.sqrt(len(x) - 1), jax.lax.rsqrt(1 + squared)
        step, normal = offset * shrink[..., None], vector / length[:, None]
        along = jnp.einsum("icw,ijc->ijw", normal, step)
        turn = (scale * shrink)[..., None] * messages
        across = jnp.eye(x.shape[1]) - step[..., None] * step[:, :, None]
        offset = offset[..., None]
        by_offset = [
            (scale**2 * stretch)[:, :, None] * offset,
            (scale * along * stretch)[:, :, None] * offset
            + turn[:, :, None] * (normal[:, None] - along[:, :, None] * step[..., None]),
            scale * offset * (stretch * gate[:, None]).sum(-1)[..., None, None] * step[:, :, None]
            + (turn * gate[:, None]).sum(-1)[..., None, None] * across,
        ]
        row = Row(
            jnp.concatenate(by_offset, -1),
            jnp.concatenate([scale**2 * rate, scale * along * rate], -1),
            scale * step[..., None] * (rate * gate[:, None])[:, :, None],
            hidden_rate,
            vector @ layer.gate.weight,
        )
        return (vector * gate[:, None]).sum(-1), h, near, row


def edges(layer, clock, h, near, squared):
    """The messages of K pairs each before their activation."""
    z = over(layer.receive, h)[:, None] + over(layer.send, h)[near] + layer.edge_clock(clock)
    return z + over(layer.radial, radial_features(squared))


def summed(offset, squared, messages, particles):
    r"""$s_i$, $p_i$ and $\sqrt{1 + |p_i|^2}$."""
    messages = jax.lax.optimization_barrier(messages)
    step = jax.lax.optimization_barrier(offset * jax.lax.rsqrt(1 + squared)[..., None])
    vector = jnp.stack([(step[..., c, None] * messages).sum(1) for c in range(offset.shape[-1])], 1)
    vector = vector / math.sqrt(particles - 1)
    return messages.sum(1) / (particles - 1), vector, jnp.sqrt(1 + (vector**2).sum(1))


def spread(near, row):
    """A `Row` of all pairs, zero where there are none."""
    particles = len(near)
    own = jnp.arange(particles)[:, None]

    def widened(weights):
        empty = jnp.zeros((particles, particles, *weights.shape[2:]), weights.dtype)
        return empty.at[own, near].set(weights)

    return Row(*(widened(weights) for weights in row[:3]), *row[3:])


def from_positions(layer, near, row):
    particles, dim = len(near), row.shift_by_feature.shape[1]
    by_offset = row.by_offset if row.by_offset.shape[1] != near.shape[1] else spread(near, row)[0]
    moved = jnp.transpose(-by_offset, (1, 2, 0, 3))
    own = jnp.arange(particles)
    moved = moved.at[own, :, own].add(by_offset.sum(1))
    return _after_sums(layer, row, moved.reshape(particles * dim, particles, -1), None)


def gathered_all(layer, near_and_row, dx, dh):
    """As the library's `_from_all`, over K neighbours."""
    near, row = near_and_row
    sums = jnp.einsum("mic,ico->mio", dx, row.by_offset.sum(1))
    sums = sums - jnp.einsum("mikc,ikco->mio", dx[:, near], row.by_offset)
    send, received = over(layer.send, dh)[:, near], over(layer.receive, dh)
    shift = jnp.einsum("miw,idw->mid", received, row.shift_by_message.sum(1))
    shift = shift + jnp.einsum("mikw,ikdw->mid", send, row.shift_by_message)
    by_message = row.by_message.reshape(*near.shape, 2, -1)
    felt = jnp.einsum("mikw,iksw->misw", send, by_message)
    felt = felt + received[:, :, None] * by_message.sum(1)
    felt = felt.reshape(*felt.shape[:2], -1)
    return _after_sums(layer, row, sums + jnp.concatenate([felt, shift], -1), dh)


def gathered_own(layer, near_and_row, dx, dh):
    """As the library's `_own_position`, over K neighbours."""
    near, row = near_and_row
    particles, dim = dx.shape[1:]
    dx, dh = (d.reshape(particles, dim, *d.shape[1:]) for d in (dx, dh))
    own = jnp.arange(particles)
    relative = dx[own, :, own][:, :, None] - dx[own[:, None], :, near].swapaxes(1, 2)
    sums = jnp.einsum("imkc,ikco->imo", relative, row.by_offset)
    send = over(layer.send, dh[own[:, None], :, near].swapaxes(1, 2))
    received = over(layer.receive, dh[own, :, own])
    shift = jnp.einsum("imw,idw->imd", received, row.shift_by_message.sum(1))
    shift = shift + jnp.einsum("imkw,ikdw->imd", send, row.shift_by_message)
    by_message = row.by_message.reshape(*near.shape, 2, -1)
    felt = jnp.einsum("imkw,iksw->imsw", send, by_message)
    felt = felt + received[:, :, None] * by_message.sum(1)[:, None]
    sums = sums + jnp.concatenate([felt.reshape(*felt.shape[:2], -1), shift], -1)
    swapped = jnp.swapaxes(sums, 0, 1), jnp.swapaxes(dh[own, :, own], 0, 1)
    return jnp.einsum("cic->", _after_sums(layer, row, *swapped)[0])
