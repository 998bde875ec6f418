"""The particle network's costs: forward, gradient, divergence; dense against edge-list layout.

Run `python benchmarks/egnn.py` on an idle machine. All variants are timed interleaved in one process,
medians are printed, and the ratios are what to look at. The edge-list network lives only here.

On one core (13 particles in 3-D, width 32, depth 3, 128 points) the structured divergence took, in units
of 39 forward evaluations, 0.56 in one batch and 0.28 in chunks of 8, which fit the cache.
"""

import argparse
import math
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hiflow.networks import EGNN
from hiflow.networks._egnn_layer import activation, over, radial_features
from hiflow.networks._time import time_features


def edge_list(network, t, x):
    """The same function as `network(t, x)`, on gathered edges with segment sums."""
    particles = x.shape[0]
    pairs = [(i, j) for i in range(particles) for j in range(particles) if i != j]
    i, j = jnp.asarray(np.array(pairs).T)

    def total(edges):
        return jax.ops.segment_sum(edges, i, particles, indices_are_sorted=True)

    clock, shift = time_features(t), jnp.zeros_like(x)
    h = jnp.tile(network.node(clock), (particles, 1))
    for layer in network.layers:
        position = x / network.length + network.pace(t) * shift
        offset = position[i] - position[j]
        squared = (offset**2).sum(-1)
        step = offset * jax.lax.rsqrt(1 + squared)[:, None]
        z = over(layer.receive, h)[i] + over(layer.send, h)[j] + layer.edge_clock(clock)
        messages = activation(z + over(layer.radial, radial_features(squared)))
        vector = total(step[..., None] * messages[:, None]) / math.sqrt(particles - 1)
        length = jnp.sqrt(1 + (vector**2).sum(1))
        y = layer.nodes(clock, h, total(messages) / (particles - 1), length)
        h = h + over(layer.update, activation(y))
        shift = shift + (vector * over(layer.gate, h)[:, None]).sum(-1)
    v = network.length * shift + network.expansion(t) * x
    return v - v.mean(0)


def forward_divergence(network, t, x):
    """The dense trace, by one linearisation and a Jacobian product per coordinate."""
    v, push = jax.linearize(lambda y: network(t, y), x)
    basis = jnp.eye(x.size).reshape(x.size, *x.shape)
    return v, jnp.einsum("mm->", jax.vmap(push)(basis).reshape(x.size, x.size))


def reverse_divergence(network, t, x):
    """The dense trace, by one reverse pass per coordinate."""
    v, pull = jax.vjp(lambda y: network(t, y), x)
    basis = jnp.eye(x.size).reshape(x.size, *x.shape)
    (rows,) = jax.vmap(pull)(basis)
    return v, jnp.einsum("mm->", rows.reshape(x.size, x.size))


def gradient(field):
    def loss(network, t, x):
        return ((jax.vmap(field, (None, 0, 0))(network, t, x) - x) ** 2).mean()

    return eqx.filter_jit(eqx.filter_grad(loss))


def batched(field):
    return eqx.filter_jit(lambda network, t, x: jax.vmap(field, (None, 0, 0))(network, t, x))


def counted(function, network, t, x):
    """XLA's operations of a batch."""
    return function.lower(network, t, x).lowered.cost_analysis()["flops"]


def dense(network, t, x):
    return network(t, x)


def structured_divergence(network, t, x):
    return network.velocity_and_divergence(t, x)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in [("particles", 13), ("dim", 3), ("width", 32), ("depth", 3)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--labelled", action="store_true", help="all apart, in a chain, and chiral")
    options = parser.parse_args()
    chain = [(i, i + 1) for i in range(options.particles - 1)]
    more = {"species": range(options.particles), "bonds": chain, "reflections": False}
    network = EGNN(
        options.particles,
        options.dim,
        options.width,
        options.depth,
        **(more if options.labelled else {}),
        key=jax.random.key(0),
    )
    leaves, tree = jax.tree.flatten(eqx.filter(network, eqx.is_inexact_array))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [a + 0.1 * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    network = eqx.combine(jax.tree.unflatten(tree, moved), network)
    shape = (options.batch, options.particles, options.dim)
    x = jax.random.normal(jax.random.key(2), shape)
    t = jnp.linspace(0.0, 1.0, options.batch)

    variants = {
        "forward, dense": batched(dense),
        "gradient, dense": gradient(dense),
        "divergence, structured": batched(structured_divergence),
        "divergence, forward mode": batched(forward_divergence),
        "divergence, reverse mode": batched(reverse_divergence),
    }
    if not options.labelled:  # The edge list is of identical particles.
        variants |= {
            "forward, edge list": batched(edge_list),
            "gradient, edge list": gradient(edge_list),
        }
    times = {name: [] for name in variants}
    for repeat in range(options.repeats + 1):
        for name, function in variants.items():
            start = time.perf_counter()
            jax.block_until_ready(function(network, t, x))
            if repeat > 0:
                times[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    coordinates = options.particles * options.dim
    counts = {name: counted(function, network, t, x) for name, function in variants.items()}
    print(f"{options}, {jax.devices()[0].device_kind}")
    for name, seconds in medians.items():
        line = f"{name:26s} {1e3 * seconds:8.2f} ms"
        kind = name.split(",")[0]
        if kind == "divergence":
            ratio, of_operations = (
                found[name] / (coordinates * found["forward, dense"]) for found in (medians, counts)
            )
            line += (
                f"   {ratio:.3f} of {coordinates} forward evaluations, {of_operations:.3f} in XLA's"
            )
            line += " operations"
        else:
            line += f"   {seconds / medians[f'{kind}, dense']:.2f} of dense"
        print(line)


if __name__ == "__main__":
    main()
