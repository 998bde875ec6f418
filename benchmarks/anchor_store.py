"""Training from anchors on disk against anchors in memory: time, memory and disk, as Markdown.

Images of 28 × 28 with 32 eigenvectors each, the cheapest such path there is, and a tiny network, so
that reading has the least to hide behind. Every case runs in a process of its own; 60,000 points
take 6 GB of disk in float32, and as much memory for the case that holds them.

    python benchmarks/anchor_store.py                 # 10,000 points, about three minutes
    python benchmarks/anchor_store.py --points 60000 --from disk
"""

import argparse
import itertools
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import hiflow as hf
from hiflow.paths import AbstractGaussianPath, SpectralAnchor
from hiflow.spectrum import Modes

DIM, RANK, BATCH, STEPS, SEGMENT = 784, 32, 128, 1_000, 200
KEY = jax.random.key(0)


class Synthetic(AbstractGaussianPath):
    """Low-rank anchors of pseudo-random vectors, of norm 1 and nearly orthogonal."""

    prior_scale: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=1.0)

    def anchor(self, x1):
        phases = jnp.arange(DIM * RANK).reshape(DIM, RANK) * (1 + jnp.abs(x1[0]))
        vectors = jnp.sin(phases**2) * jnp.sqrt(2 / DIM)
        rates = jnp.append(jnp.linspace(2.0, 1.0, RANK), 1.0)
        modes = Modes(vectors, has_rest=True, size=DIM)
        return SpectralAnchor(x1, modes, rates, None, modes.components(x1))

    def frame(self, anchor):
        return anchor

    def schedule(self, t, frame):
        alpha = (1 - t) ** frame.speeds
        return alpha, alpha


def train(points: int, place: str, dtype: str, directory: str) -> dict[str, float]:
    """One case: milliseconds per step in the quickest segment, and the largest resident memory."""
    data = jax.random.normal(KEY, (points, DIM))
    network = hf.networks.MLP(shape=(DIM,), width=64, depth=2, key=KEY)
    marks = []
    flow = hf.fit(
        network,
        Synthetic(),
        data,
        prior=hf.priors.Normal(shape=(DIM,)),
        key=KEY,
        steps=STEPS,
        batch_size=BATCH,
        anchor_dir=directory if place == "disk" else None,
        anchor_dtype=dtype,
        validation=0.9 * data[:1],
        validate_at=SEGMENT,
        solver_settings={"steps": 1, "divergence": hf.Hutchinson(1)},
        callbacks=[marks.append],
        progress=False,
    )
    seconds = [b["seconds"] - a["seconds"] for a, b in itertools.pairwise(marks)]
    weights = sum(float(jnp.sum(leaf)) for leaf in jax.tree.leaves(eqx.filter(flow, eqx.is_array)))
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "ms": 1e3 * min(seconds) / SEGMENT,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "weights": weights,
    }


def make(points: int, dtype: str, directory: str) -> float:
    """Write a store; the seconds that it took."""
    begun = time.perf_counter()
    data = jax.random.normal(KEY, (points, DIM))
    hf.paths.store_anchors(Synthetic(), data, directory, dtype=dtype)
    return time.perf_counter() - begun


def alone(function, *arguments):
    """Run in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--from", dest="places", nargs="+", default=["memory", "disk"])
    parser.add_argument("--directory", help="where the temporary folder is made")
    options = parser.parse_args()
    print(f"{options.points:,} points, D = {DIM}, rank {RANK}, batch {BATCH}, {STEPS} steps\n")
    print("| kept in | dtype | GB on disk | s to write | ms per step | ratio | peak GB resident |")
    print("|---|---|---|---|---|---|---|")
    for dtype in ("float32", "float16"):
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            in_memory = None
            for place in options.places:
                disk, written = "–", "–"
                if place == "disk":
                    written = f"{alone(make, options.points, dtype, directory):.0f}"
                    size = sum(f.stat().st_size for f in Path(directory).rglob("*") if f.is_file())
                    disk = f"{size / 1e9:.2f}"
                found = alone(train, options.points, place, dtype, directory)
                in_memory = in_memory or (found if place == "memory" else None)
                ratio = f"{found['ms'] / in_memory['ms']:.2f}" if in_memory else "–"
                figures = (f"{found['ms']:.1f}", ratio, f"{found['memory'] / 1e9:.2f}")
                print(f"| {' | '.join((place, dtype, disk, written, *figures))} |", flush=True)
                if in_memory and found["weights"] != in_memory["weights"]:
                    raise AssertionError("training from disk and from memory gave other weights")


if __name__ == "__main__":
    main()
