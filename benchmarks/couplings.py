"""What a coupling costs beside the same work by hand, and how much of it a training loop hides.

    taskset -c 0 python benchmarks/couplings.py          # couplings alone, as ratios
    python benchmarks/couplings.py steps                 # whole training steps on LJ13

By hand is NumPy and SciPy: an assignment of the distances of a batch; and for pairs up to symmetry,
permutation and rotation in turn until the distance no longer falls, one pair after the other. Both sides
are timed in turn within one process. In whole steps every timed run has a key of its own, since a run
that draws what the last one drew is given its pairs; *hidden* is the part of the pairing's cost that a
step doesn't show: `fit` pairs the coming batches on the CPU while the device trains.
"""

import sys

import jax
import numpy as np
from interleaved import ratio, seconds
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import hiflow as hf

KEY = jax.random.key(0)
STEPS, BATCH, ROUNDS = 150, 128, 7


def paired_by_hand(x0, x1):
    cost = cdist(x1.reshape(len(x1), -1), x0.reshape(len(x0), -1), "sqeuclidean")
    return x0[linear_sum_assignment(cost)[1]]


def aligned_by_hand(x0, x1, rounds=8):
    ends = []
    for x, y in zip(x0, x1, strict=True):
        now, before = ((x - y) ** 2).sum(), np.inf
        for _ in range(rounds):
            x = x[linear_sum_assignment(-y @ x.T)[1]]
            u, _, vt = np.linalg.svd(y.T @ x)
            x = x @ (u @ vt).T
            now, before = ((x - y) ** 2).sum(), now
            if not now < before:
                break
        ends.append(x)
    return np.stack(ends)


def particles(count, batch):
    """A prior, its symmetry and a batch of pairs, as JAX holds them and as NumPy does."""
    prior = hf.priors.CentredNormal(particles=count, dim=3)
    x = jax.vmap(prior.sample)(jax.random.split(KEY, 2 * batch))
    return prior.group, x[:batch], x[batch:]


def length(x0, x1):
    return float(np.sqrt(np.sum((np.asarray(x0) - np.asarray(x1)) ** 2, axis=(1, 2))).mean())


def alone(name, coupling, by_hand, x0, x1):
    """Print what one coupling takes of what its hand-written form takes."""
    pair = jax.jit(lambda a, b: coupling(a, b, KEY)[0])
    a, b = np.asarray(x0), np.asarray(x1)
    times = seconds({"hiflow": lambda: pair(x0, x1), "by hand": lambda: by_hand(a, b)}, ROUNDS)
    taken = 1e3 * np.median(times["hiflow"])
    lengths = f"{length(pair(x0, x1), b):.4f} and {length(by_hand(a, b), b):.4f}"
    print(f"{name}: {taken:.2f} ms; {ratio(times, 'hiflow', 'by hand')}; mean distance {lengths}")


def couplings_alone():
    for batch in (128, 512):
        _, x0, x1 = particles(13, batch)
        alone(f"minibatch-ot, batch {batch}", hf.couplings.MinibatchOT(), paired_by_hand, x0, x1)
    for count in (13, 55):
        group, x0, x1 = particles(count, 128)
        aligned = hf.couplings.SymmetryAligned(group)
        alone(f"symmetry-aligned, 128 pairs of {count}", aligned, aligned_by_hand, x0, x1)


def step_time(coupling, energy, prior, points, key):
    """Milliseconds per training step with a coupling."""
    network = hf.networks.EGNN(particles=13, dim=3, width=32, depth=3, key=KEY)
    path = hf.paths.OptimalTransport(group=prior.group)

    def run(key):
        rows = []
        hf.fit(
            network, path, points, prior=prior, energy=energy, key=key, steps=STEPS,
            batch_size=BATCH, coupling=coupling, callbacks=[rows.append], progress=False,
        )  # fmt: skip
        return rows[-1]["seconds"]

    run(key)  # Compiles: the schedule's length is part of the program.
    return 1e3 * float(np.median([run(jax.random.fold_in(key, k)) for k in range(3)])) / STEPS


def whole_steps():
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
    x1 = points[:BATCH]
    x0 = jax.vmap(prior.sample)(jax.random.split(KEY, BATCH))
    print(f"LJ13, EGNN 32x3, batch {BATCH}, {jax.devices()[0].device_kind}")
    print("| coupling | ms per batch | distance of a pair | ms per training step | hidden |")
    print("|---|---|---|---|---|")
    without = None
    for k, (name, coupling) in enumerate(couplings.items()):
        pair = jax.jit(lambda a, b, c=coupling: c(a, b, KEY)[0])
        cost = 1e3 * float(np.median(seconds({"": lambda f=pair: f(x0, x1)}, 5)[""]))
        per_step = step_time(coupling, energy, prior, points, jax.random.fold_in(KEY, 100 + k))
        without = per_step if without is None else without
        hidden = f"{1 - (per_step - without) / cost:.0%}" if name != "independent" else ""
        apart = length(pair(x0, x1), x1)
        print(f"| {name} | {cost:.1f} | {apart:.2f} | {per_step:.1f} | {hidden} |", flush=True)


if __name__ == "__main__":
    whole_steps() if "steps" in sys.argv[1:] else couplings_alone()
