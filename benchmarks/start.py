"""How long hiflow takes to start: its imports beside those of the JAX stack, the shell's commands that
compute nothing, and a flow's first log densities and samples with and without kept code.

    taskset -c 0 python benchmarks/start.py

Every row is timed in processes of its own, rounds interleaved; medians of processor and wall seconds.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROUNDS = 5
STACK = "import jax, jax.numpy, equinox, diffrax, optax, lineax, jaxtyping"
IMPORTS = {
    "python": "",
    "stack": STACK,
    "import hiflow": "import hiflow",
    "the first hour's parts": "import hiflow as h; h.fit, h.Flow, h.data, h.paths, h.metrics",
    "every part": "import hiflow as h; h.registry.families(); h.fit, h.Flow, h.data, h.metrics",
}
SHELL = ("--version", "--help", "train --help", "list", "train no-such", "trian")
FLOW = """
import sys
from hiflow import _compilation
if "keep" in sys.argv: _compilation.keep()
import jax, jax.numpy as jnp, hiflow as hf
network = hf.networks.MLP(shape=(2,), width=96, depth=3, key=jax.random.key(0))
flow = hf.Flow(hf.priors.Normal(shape=(2,)), network)
flow.log_prob(jnp.zeros((100, 2))).block_until_ready()
flow.sample(jax.random.key(0), 100).block_until_ready()
"""


def seconds(arguments: list[str]) -> tuple[float, float]:
    """Processor and wall seconds of one run of Python."""
    before, begun = os.times(), os.times().elapsed
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    after = os.times()
    used = after.children_user - before.children_user + after.children_system
    return used - before.children_system, after.elapsed - begun


def medians(rows: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """Processor and wall seconds of every row."""
    for arguments in rows.values():
        seconds(
            arguments
        )  # Reads the files, compiles to bytecode and fills the folder of kept code.
    rounds = [{name: seconds(what) for name, what in rows.items()} for _ in range(ROUNDS)]
    return {name: np.median([one[name] for one in rounds], axis=0) for name in rows}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HIFLOW_CACHE"] = str(Path(folder))
        for name in ("JAX_COMPILATION_CACHE_DIR", "PYTHONDONTWRITEBYTECODE"):
            os.environ.pop(name, None)
        found = medians({name: ["-c", code] for name, code in IMPORTS.items()})
        for name, (used, wall) in found.items():
            ratio = used / found["stack"][0]
            print(f"{name:28} {used:6.2f} s processor {wall:6.2f} s wall {ratio:6.2f} of the stack")
        for name, (used, wall) in medians(
            {command: ["-m", "hiflow.cli", *command.split()] for command in SHELL}
        ).items():
            print(f"hiflow {name:21} {used:6.2f} s processor {wall:6.2f} s wall")
        first = {"compiled": ["-c", FLOW], "kept": ["-c", FLOW, "keep"]}
        for name, (used, wall) in medians(first).items():
            print(f"first densities, {name:11} {used:6.2f} s processor {wall:6.2f} s wall")


if __name__ == "__main__":
    main()
