"""How the cost of a training step and of a pairing grows: exponents of a power of the size, fitted.

    taskset -c 0 python benchmarks/slopes.py step         # by particles, dimension and batch
    taskset -c 0 python benchmarks/slopes.py spectrum     # by modes kept and by data points
    taskset -c 0 python benchmarks/slopes.py coupling

All sizes are timed in turn within one process; printed are the medians and the slope of log time against
log size over all sizes, and over the two largest, where what doesn't grow weighs least.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from interleaved import exponent, seconds
from training_step import KEY, STEPS, hiflow_loop

import hiflow as hf

ROUNDS = 5


def table(name, variants, per=1):
    """Print the times of variants by size, and their exponents."""
    times = {k: np.median(v) / per for k, v in seconds(variants, ROUNDS).items()}
    sizes, taken = list(variants), [float(times[size]) for size in variants]
    listed = ", ".join(f"{size}: {1e3 * t:.2f} ms" for size, t in zip(sizes, taken, strict=True))
    whole, last = exponent(sizes, taken), exponent(sizes[-2:], taken[-2:])
    print(f"{name}: {listed}; exponent {whole:.2f}, at the end {last:.2f}", flush=True)


def egnn_step(particles, batch):
    prior = hf.priors.CentredNormal(particles=particles, dim=3)
    points = jax.vmap(prior.sample)(jax.random.split(KEY, 256))
    network = hf.networks.EGNN(particles=particles, dim=3, width=32, depth=3, key=KEY)
    return hiflow_loop(network, hf.paths.OptimalTransport(), points, prior, batch, steps=2)


def mlp_step(dim, batch, spectral):
    prior = hf.priors.Normal(dim)
    points = jax.vmap(prior.sample)(jax.random.split(KEY, 512))
    network = hf.networks.MLP((dim,), 128, 3, key=KEY)
    path = hf.paths.OptimalTransport()
    if spectral:
        energy = hf.energies.Gaussian(jnp.zeros(dim), jnp.diag(jnp.linspace(1.0, 4.0, dim)))
        path = hf.paths.Linearised(energy=energy, hessian="dense", rates="saturating")
    return hiflow_loop(network, path, points, prior, batch)


def step():
    steps = {n: egnn_step(n, 16) for n in (13, 22, 55, 147)}
    table("EGNN 32x3, batch 16, by particles", steps, per=2)
    steps = {b: egnn_step(13, b) for b in (16, 32, 64, 128)}
    table("EGNN 32x3, 13 particles, by batch", steps, per=2)
    for spectral in (False, True):
        name = f"MLP 128x3, {'dense spectral' if spectral else 'isotropic'} path"
        steps = {d: mlp_step(d, 256, spectral) for d in (20, 39, 78, 156)}
        table(f"{name}, batch 256, by dimension", steps, per=STEPS)
        steps = {b: mlp_step(39, b, spectral) for b in (64, 128, 256, 512)}
        table(f"{name}, dimension 39, by batch", steps, per=STEPS)


def anchored_step(hessian, dim, points):
    """A step of 256 among so many points."""
    prior = hf.priors.Normal(dim)
    x = jax.vmap(prior.sample)(jax.random.split(KEY, points))
    network = hf.networks.MLP((dim,), 128, 3, key=KEY)
    energy = hf.energies.Gaussian(jnp.zeros(dim), jnp.diag(jnp.linspace(1.0, 4.0, dim)))
    path = hf.paths.Linearised(energy=energy, hessian=hessian, rates="saturating")
    return hiflow_loop(network, path, x, prior, 256)


def spectrum():
    kept = {k: anchored_step({"name": "lanczos", "k": k}, 156, 512) for k in (4, 16, 64, 150)}
    table("MLP 128x3, dimension 156, by modes kept", kept, per=STEPS)
    steps = {n: anchored_step("dense", 39, n) for n in (500, 5_000, 50_000)}
    table("MLP 128x3, dense path of dimension 39, by data points", steps, per=STEPS)
    steps = {n: lambda n=n: anchors(n) for n in (500, 2_000, 8_000)}
    table("dense anchors of LJ13, by data points", steps)


def anchors(points):
    """Of so many points of LJ13, each with its Hessian and eigenvectors."""
    energy = hf.energies.LennardJones.preset("lj13")
    prior = hf.priors.CentredNormal(particles=13, dim=3)
    x = jax.vmap(prior.sample)(jax.random.split(KEY, points))
    path = hf.paths.Linearised(energy=energy, hessian="dense", rates="saturating")
    return jax.block_until_ready(hf.paths.make_anchors(path, x))


def pairing(coupling, particles, batch):
    prior = hf.priors.CentredNormal(particles=particles, dim=3)
    x = jax.vmap(prior.sample)(jax.random.split(KEY, 2 * batch))
    chosen = hf.couplings.registry.make(coupling, group=prior.group)
    pair = jax.jit(lambda a, b: chosen(a, b, KEY)[0])
    return lambda: pair(x[:batch], x[batch:])


def coupling():
    pairs = {b: pairing("minibatch-ot", 13, b) for b in (64, 128, 256, 512, 1024)}
    table("minibatch-ot, 13 particles, by batch", pairs)
    pairs = {n: pairing("symmetry-aligned", n, 32) for n in (13, 22, 55, 147)}
    table("symmetry-aligned, 32 pairs, by particles", pairs)
    pairs = {b: pairing("symmetry-aligned", 13, b) for b in (32, 64, 128, 256)}
    table("symmetry-aligned, 13 particles, by batch", pairs)


def main():
    parser = argparse.ArgumentParser()
    # Not a default: argparse holds a whole list against the choices.
    parts = {"step": step, "spectrum": spectrum, "coupling": coupling}
    parser.add_argument("part", choices=list(parts), nargs="?")
    print(jax.devices()[0].device_kind)
    chosen = parser.parse_args().part
    for part in [chosen] if chosen else parts:
        parts[part]()


if __name__ == "__main__":
    main()
