"""The networks and their layers against their formulas, written in NumPy, in double precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import networks
from hiflow.networks import _unet_layers as layers
from hiflow.networks._time import time_features

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
T = 0.3


def _moved(module):
    """With other weights: fresh ones are often 0."""
    arrays, rest = eqx.partition(module, eqx.is_array)
    return eqx.combine(
        jax.tree.map(lambda w: jnp.asarray(w + 0.3 * RANDOM.normal(size=w.shape)), arrays), rest
    )


def _clock(t):
    k = np.arange(1, 5)
    return np.concatenate([[2 * t - 1], np.cos(np.pi * k * t), np.sin(np.pi * k * t)])


def _linear(layer, x):
    y = x @ np.asarray(layer.weight).T
    return y if layer.bias is None else y + np.asarray(layer.bias)


def _silu(x):
    return x / (1 + np.exp(-x))


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_the_clock_is_its_waves(t, x64):
    np.testing.assert_allclose(time_features(jnp.asarray(t)), _clock(t), atol=1e-12)


@pytest.mark.parametrize("group", [None, "translation"])
def test_mlp_is_its_layers(group, x64):
    network = _moved(networks.MLP((3, 2), width=5, depth=2, projects_on=group, key=KEY))
    x = RANDOM.normal(size=(3, 2))

    def projected(y):
        return y if group is None else y - y.mean(0)

    y = np.concatenate([projected(x).ravel(), _clock(T)])
    for layer in network.layers[:-1]:
        y = _silu(_linear(layer, y))
    expected = projected(_linear(network.layers[-1], y).reshape(3, 2))
    found = eqx.filter_jit(network)(jnp.asarray(T), jnp.asarray(x))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def _activation(z):
    return z / 2 * (1 + z / np.sqrt(1 + z**2))


def _egnn_layer(layer, clock, X, h):
    """The docstring's five lines, by loops over the pairs."""
    n, dim = X.shape
    width = h.shape[1]
    summed, vectors = np.zeros((n, width)), np.zeros((n, dim, width))
    for i in range(n):
        for j in range(n):
            offset = X[i] - X[j]
            smooth = np.sqrt(offset @ offset + 0.1**2)
            bumps = 1 / (1 + ((smooth - np.linspace(0.3, 2.6, 16)) / 0.15) ** 2)
            z = _linear(layer.receive, h[i]) + _linear(layer.send, h[j])
            heard = _heard(layer.pairs, i, j, _linear(layer.radial, bumps))
            m = _activation(z + heard + _linear(layer.edge_clock, clock))
            if i != j:
                summed[i] += m / (n - 1)
            step = offset / np.sqrt(1 + offset @ offset)
            vectors[i] += step[:, None] * m / np.sqrt(n - 1)
    lengths = np.sqrt(1 + (vectors**2).sum(1))
    mixed = _linear(layer.mix, np.concatenate([h, summed, lengths], axis=1))
    if layer.handedness is not None:
        volume = np.linalg.det(vectors @ np.asarray(layer.handedness.axes))
        q = volume / np.sqrt(1 + volume**2)
        mixed = mixed + q[:, None] * np.asarray(layer.handedness.weight)
    h = h + _linear(layer.update, _activation(mixed + _linear(layer.node_clock, clock)))
    return np.einsum("idw,iw->id", vectors, _linear(layer.gate, h)), h


def _heard(pairs, i, j, heard):
    if pairs is None:
        return heard
    bonded = float((min(i, j), max(i, j)) in pairs.bonds)
    one, other = pairs.kinds[i], pairs.kinds[j]
    stretch = 1 + np.asarray(pairs.stretch)[one, other] + bonded * np.asarray(pairs.bond_stretch)
    offset = np.asarray(pairs.offset)[one, other] + bonded * np.asarray(pairs.bond_offset)
    return stretch * heard + offset


@pytest.mark.parametrize(
    "more",
    [
        {"dim": 2},
        {"dim": 2, "reflections": False},
        {
            "dim": 3,
            "species": ["O", "H", "H", "C"],
            "bonds": [(2, 0), (0, 1)],
            "reflections": False,
        },
    ],
    ids=["identical", "chiral in a plane", "labelled and chiral"],
)
def test_egnn_is_its_formula(more, x64):
    network = networks.EGNN(particles=4, width=3, depth=2, length=1.3, key=KEY, **more)
    network = _moved(network)
    x, clock = RANDOM.normal(size=network.event_shape), _clock(T)
    h = np.tile(_linear(network.node, clock), (4, 1))
    if network.kind is not None:
        h = h + np.asarray(network.kind)[[0, 1, 1, 2]]
    # Of scalars Equinox keeps the weight's axis.
    learned = [
        float(np.squeeze(np.asarray(c.weight) @ clock + np.asarray(c.bias)))
        for c in (network.pace_clock, network.expansion_clock)
    ]
    pace = 1 - T + learned[0]
    s2 = np.exp(2 * float(network.log_scale))
    expansion = (T * s2 - (1 - T)) / ((1 - T) ** 2 + T**2 * s2) + learned[1]
    shift = np.zeros_like(x)
    for layer in network.layers:
        moved, h = _egnn_layer(layer, clock, x / 1.3 + pace * shift, h)
        shift = shift + moved
    v = 1.3 * shift + expansion * x
    found = eqx.filter_jit(network)(jnp.asarray(T), jnp.asarray(x))
    np.testing.assert_allclose(found, v - v.mean(0), rtol=1e-6, atol=1e-9)


def _normalised(norm, x, groups):
    parts = x.reshape(*x.shape[:2], groups, -1)
    mean, variance = (f(parts, axis=(0, 1, 3), keepdims=True) for f in (np.mean, np.var))
    y = ((parts - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    return y * np.asarray(norm.scale) + np.asarray(norm.shift)


@pytest.mark.parametrize(("channels", "groups"), [(4, 1), (8, 2), (6, 1), (32, 8), (20, 5)])
def test_group_norm_standardises_groups_of_channels(channels, groups, x64):
    norm = _moved(layers.GroupNorm(channels))
    x = RANDOM.normal(size=(3, 2, channels)) * 2 + 1
    found = eqx.filter_jit(norm)(jnp.asarray(x))
    np.testing.assert_allclose(found, _normalised(norm, x, groups), rtol=1e-6, atol=1e-9)


def test_attention_is_a_softmax_over_all_pixels(x64):
    layer = _moved(layers.Attention(8, 2, key=KEY))
    x = RANDOM.normal(size=(2, 3, 8))
    asked = _normalised(layer.norm, x, 2).reshape(6, 8) @ np.asarray(layer.ask.weight)[0, 0]
    asked = (asked + np.asarray(layer.ask.bias)).reshape(6, 3, 2, 4)
    mixed = np.zeros((6, 2, 4))
    for head in range(2):
        query, key, value = (asked[:, part, head] for part in range(3))
        shares = np.exp(query @ key.T / 2)
        mixed[:, head] = shares / shares.sum(1, keepdims=True) @ value
    answer = mixed.reshape(6, 8) @ np.asarray(layer.answer.weight)[0, 0]
    expected = x + (answer + np.asarray(layer.answer.bias)).reshape(2, 3, 8)
    np.testing.assert_allclose(
        eqx.filter_jit(layer)(jnp.asarray(x)), expected, rtol=1e-6, atol=1e-9
    )


def _convolved(layer, x):
    weight = np.asarray(layer.weight)
    if weight.shape[0] == 1:
        return x @ weight[0, 0] + np.asarray(layer.bias)
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.zeros((*x.shape[:2], weight.shape[3]))
    for i in range(3):
        for j in range(3):
            y += padded[i : i + x.shape[0], j : j + x.shape[1]] @ weight[i, j]
    return y + np.asarray(layer.bias)


@pytest.mark.parametrize("new_channels", [4, 8])
def test_a_block_is_two_convolutions_beside_a_shortcut(new_channels, x64):
    block = _moved(layers.Block(4, new_channels, 5, key=KEY))
    clock, x = RANDOM.normal(size=5), RANDOM.normal(size=(4, 5, 4))
    y = _convolved(block.first, _silu(_normalised(block.first_norm, x, 1)))
    scale, shift = np.split(_linear(block.clock, clock), 2)
    y = _silu(_normalised(block.second_norm, y, new_channels // 4) * (1 + scale) + shift)
    shortcut = x if block.shortcut is None else _convolved(block.shortcut, x)
    expected = shortcut + _convolved(block.second, y)
    found = eqx.filter_jit(block)(jnp.asarray(clock), jnp.asarray(x))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
