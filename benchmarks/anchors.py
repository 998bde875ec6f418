"""What anchors cost at 784 dimensions, provider by provider, and how good Lanczos is at 14×14; what
quenches cost, how much memory making anchors takes, and what sharing minima spares.

python benchmarks/anchors.py                  # MNIST from the cache or a download
python benchmarks/anchors.py --folder mnist   # MNIST from IDX files
python benchmarks/anchors.py quench           # against BFGS of Optimistix, vmapped; some minutes
python benchmarks/anchors.py memory shared    # in a minute
"""

import argparse
import json
import subprocess
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx

from hiflow import data, energies, hessians, paths
from hiflow.groups import linear_part

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


def quenches(preset: str, n: int, rounds: int = 5) -> None:
    """Rows: searches per second, and how good their ends are, in rounds that alternate."""
    energy = energies.LennardJones.preset(preset)
    x = data.sample(energy, key=jax.random.key(0), size=512, progress=False).points[:n]

    def bfgs(y: jax.Array) -> jax.Array:
        solver = optx.BFGS(1e-4, 1e-4, norm=optx.rms_norm)
        return optx.minimise(lambda z, _: energy(z), solver, y, max_steps=500, throw=False).value

    methods = {"BFGS, vmapped": bfgs, "quench": lambda y: energies.quench(energy, y)}
    run = {name: jax.jit(jax.vmap(method)) for name, method in methods.items()}
    ends = {name: jax.block_until_ready(method(x)) for name, method in run.items()}
    seconds = {name: [] for name in run}
    for _ in range(rounds):
        for name, method in run.items():
            begun = time.perf_counter()
            jax.block_until_ready(method(x))
            seconds[name].append(time.perf_counter() - begun)
    for name, found in ends.items():
        rate = n / np.median(seconds[name])
        values = jax.vmap(energy)(found)
        forces = jnp.abs(jax.vmap(jax.grad(energy))(found)).max((1, 2))
        figures = (f"{rate:.0f}", f"{float(values.mean()):.2f}", f"{float(jnp.median(forces)):.1e}")
        print(f"| {preset} | {name} | {' | '.join(figures)} |", flush=True)


_PEAK = """
import json
import jax.numpy as jnp
from hiflow.paths import AbstractPath, make_anchors

class Wide(AbstractPath):
    def anchor(self, x1):
        return x1[0] * jnp.ones(1_000)
    def flow(self, x0, anchor, t):
        return x0

def peak():
    # Unlike the system's count of resources it doesn't begin at what the parent process took.
    with open("/proc/self/status") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

points = jnp.ones((100_000, 1))
make_anchors(Wide(), points[:1024])
before = peak()
print(json.dumps([make_anchors(Wide(), points).nbytes, peak() - before]))
"""


def memory() -> None:
    """A line: what making anchors takes at most, of a process of its own."""
    run = subprocess.run([sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True)
    held, grown = json.loads(run.stdout)
    print(
        f"anchors of {held / 1e6:.0f} MB took {grown / 1e6:.0f} MB, {grown / held:.2f} times that"
    )


def shared(n: int = 2_048) -> None:
    """Rows: bytes per point with an anchor for each and with shared minima."""
    cluster = energies.LennardJones.preset("lj13")
    hot = data.sample(cluster, key=jax.random.key(0), size=512, progress=False).points
    minima = jax.jit(jax.vmap(lambda x: energies.quench(cluster, x)))(hot)
    lowest = minima[jnp.argmin(jax.vmap(cluster)(minima))]

    def cold(key: jax.Array) -> jax.Array:
        k_turn, k_noise = jax.random.split(key)
        turn = cluster.group.sample(k_turn, lowest.shape)
        noise = 0.03 * jax.random.normal(k_noise, lowest.shape)
        return cluster.group.project(linear_part(cluster.group, turn, lowest) + noise)

    cases = {
        "LJ13, within 0.03 of copies of the lowest minimum": (
            cluster,
            jax.jit(jax.vmap(cold))(jax.random.split(jax.random.key(1), n)),
        ),
        "LJ13, kT = 1": (cluster, hot),
    }
    for energy in (energies.DoubleWell(), energies.Ring()):
        x = data.sample(energy, key=jax.random.key(0), size=n, progress=False).points
        cases[type(energy).__name__] = (energy, x)
    for label, (energy, x) in cases.items():
        hessian = "symmetry-projected" if energy is cluster else "dense"
        path = paths.AtMinimum({"name": "langevin", "hessian": hessian}, energy=energy)
        before, found = paths.anchor_bytes(path, x) / len(x), paths.share_minima(path, x)
        if found is None:
            print(f"| {label} | many | {before:.0f} | {before:.0f} |", flush=True)
            continue
        held = sum(leaf.nbytes for leaf in jax.tree.leaves((found.anchors, found.path.minima)))
        rows = len(found.path.minima.centre)
        print(f"| {label} | {rows} | {before:.0f} | {held / len(x):.0f} |", flush=True)


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["providers"])
    parser.add_argument("--folder")
    options = parser.parse_args()
    if "quench" in options.parts:
        print("| energy | search | per second | mean energy | largest force, median |")
        print("|---|---|---|---|---|")
        quenches("lj13", 256)
        quenches("lj55", 32)
    if "memory" in options.parts:
        memory()
    if "shared" in options.parts:
        print("| points | minima | bytes per point | shared |\n|---|---|---|---|")
        shared()
    if "providers" in options.parts:
        providers(options.folder)


def providers(folder: str | None) -> None:
    """Both tables of images."""
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
