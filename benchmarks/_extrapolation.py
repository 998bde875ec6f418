"""The cost model carried to larger systems and to 64 GPUs, with what saturates first."""

from collections.abc import Iterator
from typing import NamedTuple

import _cost as c

# NVIDIA's data sheet of the H100 SXM: float32 outside of tensor cores, dense bfloat16, memory, host link
# (PCIe 5, one way); a 400 Gb/s InfiniBand port per GPU between machines, as in DGX H100.
FLOAT32, BFLOAT16, MEMORY, HOST, NETWORK = 67e12, 989e12, 3.35e12, 64e9, 50e9
# Assumed: what real programs reach of those, one launch of a kernel, and an all-reduce of nothing.
REACHED, LAUNCH, LATENCY = 0.4, 3e-6, 50e-6
ROOM, GPUS = 80e9, 64


class System(NamedTuple):
    """A training run on data of a kind."""

    name: str
    dim: int
    modes: int
    points: int
    batch: int
    """Per GPU."""
    gradient: float
    traffic: float
    peak: float
    parameters: int
    divergence: float
    """Operations of a velocity with its exact divergence."""
    kernels: int
    kept: float
    vectors: bool = True


def systems() -> Iterator[System]:
    """Molecules, clusters and images."""
    for name, particles, modes in (("LJ13", 13, 36), ("ALDP, 22 atoms", 22, 63), ("LJ55", 55, 162)):
        sizes = {"particles": particles, "dim": 3, "width": 32, "depth": 3}
        yield System(
            f"{name}, EGNN 32×3, dense", 3 * particles, modes, 100_000, 512,
            c.egnn_gradient(**sizes), c.egnn_traffic(particles, 32, 3), FLOAT32,
            c.egnn_parameters(32, 3), c.egnn_divergence(**sizes), 300,
            c.egnn_activations(particles, 32, 3),
        )  # fmt: skip
    unet = {"side": 32, "channels": 3, **c.UNETS["base"]}
    for basis, modes, vectors in (
        ("dense", 3_072, True),
        ("64 modes", 64, True),
        ("a shared basis", 3_072, False),
        ("diagonal", 0, True),
    ):
        forward, kept = c.unet_forward(**unet), c.unet_activations(**unet) / 2
        yield System(
            f"CIFAR size, U-Net base, {basis}", 3_072, modes, 50_000, 128,
            c.unet_gradient(**unet), c.unet_traffic(**unet) / 2, BFLOAT16, c.unet_parameters(**unet),
            3_073 * forward, 1_000, kept, vectors,
        )  # fmt: skip


def times(system: System) -> dict[str, float]:
    """Seconds of a step on each of 64 GPUs, by what they are spent on."""
    s = system
    path = c.path_dense(s.dim, s.modes)
    anchors = s.batch * c.anchor_bytes(s.dim, s.modes, vectors=s.vectors)
    # Vectors are read for the components and for the way back.
    shared = 0 if s.vectors else 2 * c.FLOAT * s.dim * s.modes
    return {
        "operations": s.batch * (s.gradient / s.peak + path / FLOAT32) / REACHED,
        "memory": (s.batch * s.traffic + 2 * anchors + shared) / MEMORY / REACHED,
        "launches": s.kernels * LAUNCH,
        "network": LATENCY + c.all_reduce_bytes(s.parameters, GPUS) / NETWORK,
    }


def likelihood(system: System) -> float:
    """Seconds of one sample's exact likelihood on one GPU, of 50 evaluations in float32."""
    spent = max(1 / FLOAT32, c.DIVERGENCE_TRAFFIC / MEMORY) / REACHED
    return 50 * system.divergence * spent


def store(system: System) -> float:
    """Bytes of all anchors."""
    each = c.anchor_bytes(system.dim, system.modes, vectors=system.vectors)
    return system.points * each + (0 if system.vectors else c.FLOAT * system.dim * system.modes)


def first(system: System) -> str:
    """What saturates first."""
    if store(system) > ROOM:
        return f"room for anchors: {store(system) / ROOM:.0f} GPUs' memory"
    spent = times(system)
    return max(spent, key=lambda name: spent[name])


def lines() -> Iterator[str]:
    """The tables, as Markdown."""
    yield "| system | anchor | of all | operations | memory | launches | all-reduce | first |"
    yield "|---|---|---|---|---|---|---|---|"
    for system in systems():
        spent = times(system)
        each = c.anchor_bytes(system.dim, system.modes, vectors=system.vectors)
        columns = " | ".join(f"{1e3 * seconds:.2g} ms" for seconds in spent.values())
        yield (
            f"| {system.name} | {_bytes(each)} | {_bytes(store(system))} | {columns} "
            f"| {first(system)} |"
        )
    yield ""
    yield "| system | weights | sent per GPU and step | kept per sample | exact likelihood, 50 NFE |"
    yield "|---|---|---|---|---|"
    seen: set[int] = set()
    for system in systems():
        if system.dim in seen:
            continue
        seen.add(system.dim)
        sent = c.all_reduce_bytes(system.parameters, GPUS)
        yield (
            f"| {system.name.rpartition(',')[0]} | {system.parameters:,} | {_bytes(sent)} "
            f"| {_bytes(system.kept)} | {50 * system.divergence:.2g} operations, "
            f"{1 / likelihood(system):.2g} a second |"
        )


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1_000:
            return f"{size:.3g} {unit}"
        size /= 1_000
    return f"{size:.3g} TB"
