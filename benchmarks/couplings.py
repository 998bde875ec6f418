"""What a coupling costs per batch and how near it brings the pairs, on LJ13.

    python benchmarks/couplings.py

Each coupling is timed beside the independent one and beside a training step of the EGNN without any,
in one run; the last column says how much of the pairing a training loop hides by working in the
background (`fit` with the coupling, less `fit` without, over the cost of the pairing).
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf

KEY = jax.random.key(0)
STEPS = 150


def milliseconds(function, *arguments):
    """Median of five runs, after one that compiles."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(times))


def step_time(coupling, energy, prior, points):
    """Milliseconds per training step with a coupling, compiled before."""
    network = hf.networks.EGNN(particles=13, dim=3, width=32, depth=3, key=KEY)
    path = hf.paths.OptimalTransport(group=prior.group)

    def run(steps):
        rows = []
        hf.fit(
            network, path, points, prior=prior, energy=energy, key=KEY, steps=steps,
            batch_size=128, coupling=coupling, callbacks=[rows.append], progress=False,
        )  # fmt: skip
        return rows[-1]["seconds"]

    run(STEPS)  # Compiles: the schedule's length is part of the program.
    return 1e3 * run(STEPS) / STEPS


def main():
    energy = hf.energies.LennardJones.preset("lj13")
    prior = hf.priors.CentredNormal(particles=13, dim=3)
    points = hf.data.sample(energy, key=KEY, size=2_000, progress=False).points
    group = energy.group
    couplings = {
        "independent": hf.couplings.Independent(),
        "minibatch-ot": hf.couplings.MinibatchOT(),
        "symmetry-aligned": hf.couplings.SymmetryAligned(group),
        "symmetry-aligned, 4 starts": hf.couplings.SymmetryAligned(group, starts=4),
        "equivariant-ot, block 16": hf.couplings.EquivariantOT(group, block=16),
        "equivariant-ot": hf.couplings.EquivariantOT(group),
    }
    x1 = points[:128]
    x0 = jax.vmap(prior.sample)(jax.random.split(KEY, 128))
    print(f"batch 128, {jax.devices()[0].device_kind}, medians of 5")
    print("| coupling | ms per batch | distance of a pair | ms per training step | hidden |")
    print("|---|---|---|---|---|")
    alone = None
    for name, coupling in couplings.items():
        pair = jax.jit(lambda a, b, c=coupling: c(a, b, KEY)[0])
        cost = milliseconds(pair, x0, x1)
        distance = jnp.sqrt(jnp.sum((pair(x0, x1) - x1) ** 2, axis=(1, 2))).mean()
        per_step = step_time(coupling, energy, prior, points)
        alone = per_step if alone is None else alone
        hidden = f"{1 - (per_step - alone) / cost:.0%}" if name != "independent" else ""
        print(f"| {name} | {cost:.1f} | {distance:.2f} | {per_step:.1f} | {hidden} |", flush=True)


if __name__ == "__main__":
    main()
