"""What a training step costs with another target, as ratios to the plain one: same network, same draws.

    taskset -c 0 python benchmarks/targets.py              # or: mlp, egnn

Variants are timed in turn in one process; printed are medians of ratios over rounds, and quartiles. An
average over points is timed with an isotropic path and, for 100 points, with a dense end law.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from interleaved import ratio, seconds

import hiflow as hf
from hiflow.training._draws import Batches
from hiflow.training._optimiser import Scheduled
from hiflow.training._pairing import paired_draws
from hiflow.training._step import Recipe, advance, initial_state

PARTICLES, DIM, STEPS, ROUNDS, BATCH = 13, 3, 10, 7, 128
KEY = jax.random.key(0)


def loop(network, path, target, points, prior, energy):
    """Several steps in one compiled call."""
    parameters, static = eqx.partition(network, eqx.is_inexact_array)
    optimiser = Scheduled("adam", 1e-3, 100, 1.0, 10_000)
    coupling = hf.couplings.Independent()
    parts = hf.targets.Parts(path, prior, coupling, energy)
    ready = isinstance(target, hf.targets.SupportsPreparation)
    path = target.path_for(parts) if ready else path
    anchors = hf.paths.make_anchors(path, points)
    target = target.prepare(parts, path, anchors) if ready else target
    batches = Batches(points, prior, coupling, hf.time_samplers.Stratified(), None, KEY, size=BATCH)
    recipe = Recipe(anchors, path, static, None, optimiser, 0.999, target=target)
    (draws,) = paired_draws(batches, [(0, STEPS)], STEPS)

    def run():
        state = initial_state(parameters, optimiser)
        return advance((recipe, draws, jnp.asarray(STEPS, jnp.int32)), state)[1]

    return run


def compare(name, network, points, prior, energy):
    """Print the ratios of one network."""
    straight = hf.paths.OptimalTransport(group=prior.group)
    relaxed = hf.paths.Relaxed(energy=energy, hessian="analytic", curvature="absolute")
    averaged = hf.targets.PosteriorAveraged
    variants = {
        "plain": (straight, hf.targets.Plain(), 1_000),
        "force": (straight, hf.targets.ForceControlled(), 1_000),
        "average of 100": (straight, averaged(), 100),
        "average of 1,000": (straight, averaged(), 1_000),
        "average of 64 of 1,000": (straight, averaged(among=64), 1_000),
        "end law": (relaxed, hf.targets.Plain(), 100),
        "end law, average of 100": (relaxed, averaged(), 100),
    }
    loops = {
        label: loop(network, path, target, points[:n], prior, energy)
        for label, (path, target, n) in variants.items()
    }
    times = seconds(loops, ROUNDS)
    print(f"\n{name}, D = {PARTICLES * DIM}, batch {BATCH}")
    print(f"  plain: {1e3 * np.median(times['plain']) / STEPS:.2f} ms per step")
    for label in list(variants)[1:]:
        base = "end law" if label.startswith("end law,") else "plain"
        print("  " + ratio(times, label, base))


def main():
    """The networks that are asked for."""
    networks = sys.argv[1:] or ["mlp", "egnn"]
    prior = hf.priors.CentredNormal(particles=PARTICLES, dim=DIM)
    energy = hf.energies.LennardJones.preset("lj13")
    # Times don't depend on the points' values; relaxed prior samples will do.
    points = hf.testing.relaxed_points(energy, KEY, 1_000)
    print(f"{jax.devices()[0].device_kind}; {ROUNDS} rounds of {STEPS} steps")
    if "mlp" in networks:
        mlp = hf.networks.MLP((PARTICLES, DIM), 128, 3, projects_on=prior.group, key=KEY)
        compare("MLP 128x3", mlp, points, prior, energy)
    if "egnn" in networks:
        egnn = hf.networks.EGNN(particles=PARTICLES, dim=DIM, width=32, depth=3, key=KEY)
        compare("EGNN 32x3", egnn, points, prior, energy)


if __name__ == "__main__":
    main()
