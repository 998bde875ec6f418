"""Would the particle network gain from looking at near particles only? How many are near, and the times.

    taskset -c 0 python benchmarks/neighbours.py counts      # a minute
    taskset -c 0 python benchmarks/neighbours.py times       # two minutes, on an idle machine

A network with a cutoff is exact on its K nearest neighbours if no more than K are ever inside. `counts`
prints the largest number inside on the way from the prior to Lennard-Jones clusters, in lengths, where
the prior is as wide as the data. `times` compares a forward pass, a gradient and a velocity with its
divergence on all pairs with a forward pass and a gradient on K neighbours by gathering: that network
lives only here.
"""

import argparse
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from interleaved import seconds

import hiflow as hf
from hiflow._distances import pair_distances
from hiflow.networks._egnn_layer import activation, over, radial_features
from hiflow.networks._time import time_features
from hiflow.testing import relaxed_points

KEY = jax.random.key(0)
CUTOFFS, TIMES = (1.5, 2.0, 2.5), (0.0, 0.25, 0.5, 0.75, 1.0)


def near_pairs(network, neighbours, cutoff, t, x):
    """The network with messages along the nearest pairs, times $(1 - d^2/c^2)^3$ inside the cutoff c."""
    particles, clock, shift = x.shape[0], time_features(t), jnp.zeros_like(x)
    h = network.features(clock)
    for layer in network.layers:
        position = x / network.length + network.pace(t) * shift
        squared = ((position[:, None] - position[None]) ** 2).sum(-1) + 1e9 * jnp.eye(particles)
        _, near = jax.lax.top_k(-jax.lax.stop_gradient(squared), neighbours)
        offset = position[:, None] - position[near]
        squared = (offset**2).sum(-1)
        step = offset * jax.lax.rsqrt(1 + squared)[..., None]
        z = over(layer.receive, h)[:, None] + over(layer.send, h)[near] + layer.edge_clock(clock)
        inside = jnp.maximum(1 - squared / cutoff**2, 0)[..., None] ** 3
        messages = inside * activation(z + over(layer.radial, radial_features(squared)))
        vector = jnp.stack([(step[..., c, None] * messages).sum(1) for c in range(x.shape[1])], 1)
        vector = vector / math.sqrt(particles - 1)
        length = jnp.sqrt(1 + (vector**2).sum(1))
        y = layer.nodes(clock, h, messages.sum(1) / (particles - 1), length)
        h = h + over(layer.update, activation(y))
        shift = shift + (vector * over(layer.gate, h)[:, None]).sum(-1)
    v = network.length * shift + network.expansion(t) * x
    return v - v.mean(0)


def counts(sizes):
    for particles in sizes:
        energy = hf.energies.LennardJones(particles=particles)
        x1 = relaxed_points(energy, KEY, 8, steps=300)
        width = jnp.sqrt(jnp.mean(x1**2))
        prior = hf.priors.CentredNormal(particles, 3, scale=width)
        x0 = jax.vmap(prior.sample)(jax.random.split(KEY, len(x1)))
        pairing = hf.couplings.SymmetryAligned(energy.group)
        x0 = jax.jit(lambda a, b, pair=pairing: pair(a, b, KEY)[0])(x0, x1)
        for t in TIMES:
            distances = jax.vmap(pair_distances)((1 - t) * x0 + t * x1)
            found = [most_inside(distances, particles, cutoff) for cutoff in CUTOFFS]
            listed = ", ".join(f"{c}: {n}" for c, n in zip(CUTOFFS, found, strict=True))
            print(f"{particles} particles, t = {t}, most neighbours inside {listed}", flush=True)


def most_inside(distances, particles, cutoff):
    """The largest number of neighbours that a particle has nearer than the cutoff."""
    i, j = np.triu_indices(particles, 1)
    inside = np.asarray(distances) < cutoff
    return max(np.bincount(np.r_[i[row], j[row]], minlength=particles).max() for row in inside)


def times(sizes):
    for particles in sizes:
        batch = max(2, 13 * 13 * 64 // particles**2)
        network = hf.networks.EGNN(particles, 3, key=KEY)
        x = 1.5 * jax.random.normal(KEY, (batch, particles, 3))
        t = jnp.linspace(0.0, 1.0, batch)
        fields = {"all pairs": lambda network, t, x: network(t, x)}
        for neighbours in (16, 32, 64):
            if neighbours < particles - 1:
                fields[f"{neighbours} neighbours"] = eqx.Partial(
                    lambda k, network, t, x: near_pairs(network, k, 2.0, t, x), neighbours
                )
        programs = {f"forward, {name}": forward(field) for name, field in fields.items()}
        programs |= {f"gradient, {name}": gradient(field) for name, field in fields.items()}
        programs["divergence, all pairs"] = forward(
            lambda network, t, x: network.velocity_and_divergence(t, x)
        )
        runs = {name: lambda f=f, n=network, t=t, x=x: f(n, t, x) for name, f in programs.items()}
        found = {name: np.min(taken) for name, taken in seconds(runs, 7).items()}
        for name, taken in found.items():
            ratio = taken / found[f"{name.partition(',')[0]}, all pairs"]
            each = 1e3 * taken / batch
            print(
                f"{particles} particles: {name:26s} {each:8.3f} ms a point, {ratio:.2f}", flush=True
            )


def forward(field):
    return eqx.filter_jit(lambda network, t, x: jax.vmap(field, (None, 0, 0))(network, t, x))


def gradient(field):
    def loss(network, t, x):
        return ((jax.vmap(field, (None, 0, 0))(network, t, x) - x) ** 2).mean()

    return eqx.filter_jit(eqx.filter_grad(loss))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("counts", "times"))
    parser.add_argument("--particles", type=int, nargs="*", default=[13, 22, 55, 147])
    options = parser.parse_args()
    {"counts": counts, "times": times}[options.part](options.particles)
