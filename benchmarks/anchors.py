"""What anchors cost at 784 dimensions, provider by provider, and how good Lanczos is at 14×14.

python benchmarks/anchors.py                  # MNIST from the cache or a download
python benchmarks/anchors.py --folder mnist   # MNIST from IDX files
"""

import argparse
import time

import equinox as eqx
import jax
import numpy as np

from hiflow import data, energies, hessians, paths

PROVIDERS = {
    "shared-basis": (hessians.SharedBasis(), 256),
    "low-rank, k = 32": (hessians.LowRank(32), 64),
    "lanczos, k = 32": (hessians.Lanczos(32), 16),
    "estimated-diagonal, 16 probes": (hessians.EstimatedDiagonal(16), 64),
    "diagonal": (hessians.Diagonal(), 16),
    "block-diagonal, rows": (hessians.BlockDiagonal(28), 16),
    "dense": (hessians.Dense(), 8),
}


def points(folder: str | None, side: int | None, n: int) -> jax.Array:
    """Images as the experiments have them."""
    train, _ = data.images("mnist", folder, side)
    transform = data.PixelTransform(256, 1e-6, -2.5, 4.0)
    return transform.forward(transform.dequantise(train[:n], key=jax.random.key(0)))


def cost(energy: energies.AbstractEnergy, hessian: hessians.AbstractHessian, x: jax.Array) -> tuple:
    """Seconds and megabytes per 1,000 anchors, compiled before."""
    path = paths.Linearised(energy=energy, hessian=hessian)
    anchor = eqx.filter_jit(eqx.filter_vmap(path.anchor))
    made = jax.block_until_ready(anchor(x))
    start = time.perf_counter()
    jax.block_until_ready(anchor(x))
    seconds = (time.perf_counter() - start) * 1000 / len(x)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(made)) / len(x) / 1e3
    return seconds, size


def lanczos_against_dense(energy: energies.AbstractEnergy, x: jax.Array, k: int, m: int) -> str:
    """A row: the worst of some points, against the exact pairs from the same ends of the spectrum."""
    own, exact = (
        eqx.filter_jit(eqx.filter_vmap(lambda y, h=h: h.spectrum(energy, y)))(x)
        for h in (hessians.Lanczos(k, iterations=m), hessians.Dense())
    )
    errors, missed = [], []
    for i in range(len(x)):
        values, vectors = np.asarray(exact.eigenvalues[i]), np.asarray(exact.modes.vectors[i])
        order, found = np.argsort(values), np.sort(np.asarray(own.eigenvalues[i, :k]))
        ends = [np.r_[order[:low], order[len(order) - k + low :]] for low in range(k + 1)]
        gaps = [np.abs(values[end] - found).max() for end in ends]
        end = ends[int(np.argmin(gaps))]
        errors.append(min(gaps) / np.abs(values).max())
        overlap = np.asarray(own.modes.vectors[i]).T @ vectors[:, end]
        missed.append(1 - np.sum(overlap**2) / k)
    return (
        f"| {k} | {m} | {np.median(errors):.1e} | {np.max(errors):.1e} | {np.median(missed):.3f} |"
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder")
    folder = parser.parse_args().folder
    x = points(folder, None, 2_000)
    mixture = energies.FittedMixture.fit(x, key=jax.random.key(0), components=10, rank=16)
    network = energies.EnergyNetwork.fit(x, key=jax.random.key(0), steps=200)
    print("| provider | energy | s per 1,000 images | MB |\n|---|---|---|---|")
    for name, (hessian, n) in PROVIDERS.items():
        for label, energy in {"mixture": mixture, "network": network}.items():
            try:
                seconds, size = cost(energy, hessian, x[:n])
            except ValueError:  # The closed forms are not for every energy.
                continue
            print(f"| {name} | {label} | {seconds:.2f} | {size:.1f} |", flush=True)
    small = points(folder, 14, 2_000)
    network = energies.EnergyNetwork.fit(small, key=jax.random.key(0), steps=1_000)
    mixture = energies.FittedMixture.fit(small, key=jax.random.key(0), components=10, rank=16)
    columns = ("energy", "k", "iterations", "error, median", "largest", "share of the space missed")
    print("", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", sep="\n")
    for label, energy in {"mixture": mixture, "network": network}.items():
        for k, m in ((8, 24), (8, 64), (16, 48), (16, 128)):
            print(f"| {label} {lanczos_against_dense(energy, small[:16], k, m)}", flush=True)


if __name__ == "__main__":
    main()
