"""Programs on several devices or in several processes, as the tests of this folder start them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

FORCED = "--xla_force_host_platform_device_count"
# What every program has: a small flow of 21 pairs a batch, which no number of devices divides.
COMMON = """
import sys
import jax
from pathlib import Path
place = Path(sys.argv[1])
if len(sys.argv) > 2:
    # A machine that sleeps or is busy isn't dead.
    jax.distributed.initialize(
        sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), heartbeat_timeout_seconds=1000
    )
import jax.numpy as jnp
import numpy as np
import hiflow as hf
points = jax.random.normal(jax.random.key(1), (50, 2))
energy = hf.energies.Gaussian(jnp.zeros(2), jnp.eye(2))
path = hf.paths.Langevin(energy=energy, hessian="dense", noise="own")
common = dict(
    prior=hf.priors.Normal(shape=(2,)), key=jax.random.key(0), steps=40, batch_size=21, validate_at=10,
    checkpoint_every=20, progress=False, validation=0.9 * points[:13],
)
def network():
    return hf.networks.MLP(shape=(2,), width=64, depth=2, key=jax.random.key(2))
def trained(**settings):
    '''Loss and NLL of every look, and log densities of the flow.'''
    rows = []
    flow = hf.fit(network(), path, points, **{"callbacks": [rows.append], **common, **settings})
    looks = [[row["loss"], row["nll"]] for row in rows]
    return np.array(looks).reshape(-1, 2), np.asarray(flow.log_prob(points[:9], steps=8))
def keep(name, curve, log_prob):
    np.savez(place / f"{name}.npz", curve=curve, log_prob=log_prob)
"""


def start(code: str, *arguments: object, devices: int = 1) -> subprocess.Popen[str]:
    """A process that runs a program with so many devices."""
    return started([sys.executable, "-c", COMMON + code, *map(str, arguments)], devices=devices)


def started(command: list[str], *, devices: int = 1, **variables: str) -> subprocess.Popen[str]:
    """A process with so many devices and these environment variables, its output piped."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {FORCED}={devices}"
    return subprocess.Popen(
        command,
        env={
            **os.environ,
            "XLA_FLAGS": flags,
            "JAX_PLATFORMS": "cpu",
            "COLUMNS": "300",
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def pair(code: str, place: Path) -> list[subprocess.Popen[str]]:
    """Two processes that run a program together."""
    address = f"localhost:{free_port()}"
    return [start(code, place, address, 2, process) for process in range(2)]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def outputs(*running: subprocess.Popen[str], timeout: float = 1500) -> list[str]:
    """What the processes print until they end, which they must do well."""
    try:
        said = [process.communicate(timeout=timeout)[0] for process in running]
    except BaseException:
        for process in running:
            process.kill()
            process.communicate()
        raise
    for process, text in zip(running, said, strict=True):
        assert process.returncode == 0, text
    return said
