"""Training steps on images: what a low-rank spectral path adds to an optimal-transport step, and how
its time and memory grow with the dimension D and the rank k.

    python benchmarks/image_step.py

The anchors are random: times don't depend on their values. The network is the smallest UNet. Every row
of the first table comes from a process of its own: "path" is the gathering of a batch's anchors and
`flow_and_velocity`, its memory is what XLA sets aside for that, and the peak is the whole process's,
compilation included. Slopes are fitted to the logarithms. The two sides of the second table run
interleaved, and its ratio is the median of the rounds' ratios.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf
from hiflow.spectrum import Modes
from hiflow.training._draws import Batches
from hiflow.training._optimiser import Scheduled
from hiflow.training._pairing import paired_draws
from hiflow.training._step import Recipe, advance, initial_state

KEY = jax.random.key(0)
POINTS, STEPS, ROUNDS, BATCH = 128, 3, 9, 64
IMAGE, RANK = (28, 28), 32
SHAPES = [(8, 8), (14, 14), (28, 28), (32, 32, 3)]
RANKS = [4, 16, 32, 64, 128]


def random_anchors(points, rank):
    """What `Linearised` makes of a Hessian with `rank` modes and one eigenvalue for the rest."""
    rng = np.random.default_rng(0)
    count, size = points.shape[0], points[0].size
    vectors = np.empty((count, size, rank), np.float32)
    for point in range(count):
        vectors[point] = np.linalg.qr(rng.normal(size=(size, rank)))[0]
    rates = rng.uniform(1.0, 2.0, (count, rank + 1)).astype(np.float32)
    modes = Modes(jnp.asarray(vectors), has_rest=True, size=size)
    components = jax.vmap(lambda m, x: m.components(x.ravel()))(modes, points)
    return hf.paths.SpectralAnchor(points, modes, jnp.asarray(rates), None, components)


class Side:
    """One path's training step, with its batches drawn."""

    def __init__(self, shape, rank, batch):
        points = jax.random.normal(KEY, (POINTS, *shape))
        if rank == 0:
            self.path = hf.paths.OptimalTransport()
            self.anchors = hf.paths.make_anchors(self.path, points)
        else:
            energy = hf.energies.Gaussian(jnp.zeros(shape))
            self.path = hf.paths.Linearised(energy=energy, hessian="analytic")
            self.anchors = random_anchors(points, rank)
        network = hf.networks.UNet(shape, "tiny", key=KEY)
        self.parameters, self.static = eqx.partition(network, eqx.is_inexact_array)
        self.optimiser = Scheduled("adam", 1e-3, 100, 1.0, 10_000)
        parts = (hf.couplings.Independent(), hf.time_samplers.Stratified())
        batches = Batches(points, hf.priors.Normal(shape), *parts, None, KEY, size=batch)
        (self.draws,) = paired_draws(batches, [(0, STEPS)], STEPS)

    def recipe(self, anchors):
        return Recipe(anchors, self.path, self.static, None, self.optimiser, 0.999)

    def steps(self):
        """A few training steps."""
        state = initial_state(self.parameters, self.optimiser)
        kept = (self.recipe(self.anchors), self.draws, jnp.asarray(STEPS, jnp.int32))
        return advance(kept, state)[1]

    def path_part(self):
        """The compiled path part of one step, without arguments, and its bytes."""
        draw = jax.tree.map(lambda leaf: leaf[0], self.draws)
        part = jax.jit(lambda anchors, draw: self.recipe(anchors).batch(draw))
        compiled = part.lower(self.anchors, draw).compile()
        memory = compiled.memory_analysis()
        assert memory is not None
        size = memory.temp_size_in_bytes + memory.output_size_in_bytes
        return lambda: compiled(self.anchors, draw), size


def seconds(run):
    begun = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - begun


def against_transport(batch):
    """Medians per step of both sides, and of the ratio."""
    sides = [Side(IMAGE, rank, batch) for rank in (0, RANK)]
    for side in sides:
        seconds(side.steps)
    times = np.array([[seconds(side.steps) for side in sides] for _ in range(ROUNDS)]) / STEPS
    return *np.median(times, axis=0), np.median(times[:, 1] / times[:, 0])


def one_case(shape, rank):
    """Times in milliseconds and memory in MB."""
    side = Side(shape, rank, BATCH)
    part, size = side.path_part()
    seconds(side.steps)
    seconds(part)
    return {
        "path": 1e3 * float(np.median([seconds(part) for _ in range(10 * ROUNDS)])),
        "step": 1e3 * float(np.median([seconds(side.steps) for _ in range(ROUNDS)])) / STEPS,
        "memory": size / 2**20,
        "anchors": sum(leaf.nbytes for leaf in jax.tree.leaves(side.anchors)) / POINTS / 2**20,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


def in_a_process(shape, rank):
    arguments = [sys.executable, __file__, "--rank", str(rank), "--shape", *map(str, shape)]
    return json.loads(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)


def print_slopes(name, sizes, rows):
    for quantity in ("path", "step", "memory"):
        values = [row[quantity] for row in rows]
        slope = np.polyfit(np.log(sizes), np.log(values), 1)[0]
        print(f"{quantity} grows like {name}^{slope:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs="+", help="measure one case alone, as JSON")
    parser.add_argument("--rank", type=int, default=RANK)
    options = parser.parse_args()
    if options.shape:
        print(json.dumps(one_case(tuple(options.shape), options.rank)))
        return
    print(f"{jax.devices()[0].device_kind}; medians of {ROUNDS}; batch {BATCH}:\n")
    # These first: Linux counts the peak of a process's parent as its own.
    print("| D | k | path, ms | step, ms | path, MB | anchor, MB per point | peak, MB |")
    print("|---|---|---|---|---|---|---|")
    found = {}
    cases = [(shape, RANK) for shape in SHAPES]
    for shape, rank in cases + [(IMAGE, rank) for rank in RANKS if rank != RANK]:
        row = found[shape, rank] = in_a_process(shape, rank)
        print(
            f"| {np.prod(shape)} | {rank} | {row['path']:.2f} | {row['step']:.1f} | "
            f"{row['memory']:.1f} | {row['anchors']:.3f} | {row['peak']:.0f} |",
            flush=True,
        )
    print()
    print_slopes("D", [np.prod(shape) for shape, _ in cases], [found[case] for case in cases])
    print_slopes("k", RANKS, [found[IMAGE, rank] for rank in RANKS])
    print(f"\nD = {np.prod(IMAGE)}, k = {RANK}:\n")
    print("| batch | optimal transport, ms | linearised, ms | ratio |\n|---|---|---|---|")
    for batch in (BATCH, 2 * BATCH):
        transport, linearised, ratio = against_transport(batch)
        print(
            f"| {batch} | {1e3 * transport:.1f} | {1e3 * linearised:.1f} | {ratio:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
