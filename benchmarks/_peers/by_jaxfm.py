# pyright: reportMissingImports=false
"""jaxfm, through its own training function."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["MPLBACKEND"] = "Agg"

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxfm.flows import ReFlow
from jaxfm.utils import train_flow

from _peers import problem
from _peers.by_hand import field
from _peers.problem import Sizes


class Network(eqx.Module):
    """The common network, in its order of arguments."""

    weights: list

    def __call__(self, x: Any, t: Any) -> Any:
        return field(self.weights, t[0], x)


def step(sizes: Sizes) -> Any:
    """The difference between long and short trainings, which compile and draw a figure alike. Of what
    hiflow does beyond Adam only the average can't be had."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-3, 50, 10_000, 1e-5)
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    weights = [(jnp.asarray(m), jnp.asarray(b)) for m, b in problem.initial_weights()]
    x1 = jnp.asarray(problem.points())
    x0 = jnp.asarray(np.random.default_rng(3).normal(size=x1.shape).astype(np.float32))
    # It draws a figure into this folder at the end of every training.
    os.chdir(tempfile.mkdtemp())
    Path("fig").mkdir()

    def seconds(steps: int) -> float:
        flow = ReFlow(Network(weights), 100)
        begun = time.perf_counter()
        train_flow(flow, adam, x0, x1, sizes["batch"], steps)
        return time.perf_counter() - begun

    def run() -> dict[str, float]:
        more, fewer = sizes["steps"] + 5, 5
        return {"seconds": (seconds(more) - seconds(fewer)) / sizes["steps"]}

    network = Network(weights)

    def v(t: float, x: Any) -> Any:
        return jax.vmap(network, (0, None))(jnp.asarray(x), jnp.full(1, t))

    count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array)))
    return run, {"parameters": count, "velocity": problem.probe(sizes, v)}


VARIANTS = {"step": step}
