"""Steps per second on one device without a mesh, with one, and on several devices or processes.

    taskset -c 0 python benchmarks/devices.py
    XLA_FLAGS=--xla_force_host_platform_device_count=2 python benchmarks/devices.py

With three arguments, coordinator, processes and process, it is one of several processes.
"""

import statistics
import sys

import jax

if len(sys.argv) > 1:
    jax.distributed.initialize(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

import numpy as np
from jax.sharding import Mesh

import hiflow as hf

DIMENSION, STEPS, ROUNDS = 39, 200, 5


def seconds(mesh: Mesh | None, batch_size: int) -> float:
    """Of some steps, after the first that are compiled."""
    network = hf.networks.MLP(shape=(DIMENSION,), width=128, depth=3, key=jax.random.key(1))
    looks: list[float] = []
    hf.fit(
        network,
        "optimal-transport",
        points,
        prior=hf.priors.Normal(shape=(DIMENSION,)),
        key=jax.random.key(2),
        steps=STEPS + 50,
        validate_at=50,
        validation=0.9 * points[:2],
        solver_settings={"steps": 1},
        batch_size=batch_size,
        mesh=mesh,
        progress=False,
        callbacks=[lambda row: looks.append(row["seconds"])],
    )
    return looks[-1] - looks[0]


points = jax.random.normal(jax.random.key(0), (2_000, DIMENSION))
devices = np.array(jax.devices())
own = [device for device in devices if device.process_index == jax.process_index()]
meshes = {"one device": Mesh(np.array(own[:1]), ("batch",))}
if len(devices) == 1:
    meshes = {"no mesh": None, **meshes}
else:
    meshes[f"{len(devices)} devices, {jax.process_count()} processes"] = Mesh(devices, ("batch",))
if __name__ == "__main__":
    for batch_size in (256, 2048):
        times: dict[str, list[float]] = {name: [] for name in meshes}
        for _ in range(ROUNDS):
            for name, mesh in meshes.items():
                times[name].append(seconds(mesh, batch_size))
        first, second = times
        ratio = statistics.median(a / b for a, b in zip(times[first], times[second], strict=True))
        if jax.process_index() == 0:
            for name, measured in times.items():
                rate = STEPS / statistics.median(measured)
                print(f"batch {batch_size}, {name}: {rate:.0f} steps/s")
            print(f"batch {batch_size}: {second} is {ratio:.2f} times as fast as {first}")
