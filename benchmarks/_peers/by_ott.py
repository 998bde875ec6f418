# pyright: reportMissingImports=false
"""ott-jax, whose networks are Flax modules."""

import time
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from ott.neural.methods import flow_matching
from ott.neural.networks.velocity_field.ema import EMA

from _peers import problem
from _peers.by_hand import field
from _peers.problem import Sizes


class Network(nnx.Module):
    """The common network, of a batch."""

    def __init__(self, weights: problem.Weights):
        self.weights = nnx.List(
            nnx.List([nnx.Param(jnp.asarray(matrix)), nnx.Param(jnp.asarray(bias))])
            for matrix, bias in weights
        )

    def __call__(self, t: Any, x: Any, cond: Any = None, *, rngs: Any = None) -> Any:
        del cond, rngs
        arrays = [(matrix[...], bias[...]) for matrix, bias in self.weights]
        return jax.vmap(lambda s, y: field(arrays, s, y))(t, x)


def step(sizes: Sizes) -> Any:
    """Its interpolation, step and average, with the draws, in one compiled function."""
    network, points = Network(problem.initial_weights()), jnp.asarray(problem.points())
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-3, 50, 10_000, 1e-5)
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    optimiser, average = nnx.Optimizer(network, adam, wrt=nnx.Param), EMA(network, decay=0.999)
    keys = list(jax.random.split(jax.random.key(0), sizes["steps"]))

    @nnx.jit
    def advance(network: Any, optimiser: Any, average: Any, key: Any) -> Any:
        k1, k2, k3 = jax.random.split(key, 3)
        x1 = points[jax.random.randint(k1, (sizes["batch"],), 0, points.shape[0])]
        batch = flow_matching.interpolate_samples(k3, jax.random.normal(k2, x1.shape), x1)
        return flow_matching.flow_matching_step(
            network, optimiser, batch, model_callback_fn=average
        )["loss"]

    def run() -> dict[str, float]:
        begun = time.perf_counter()
        losses = [advance(network, optimiser, average, key) for key in keys]
        jax.block_until_ready(losses)
        return {"seconds": (time.perf_counter() - begun) / sizes["steps"]}

    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))

    def v(t: float, x: Any) -> Any:
        return network(jnp.full(len(x), t), jnp.asarray(x))

    return run, {"parameters": count, "velocity": problem.probe(sizes, v)}


def likelihood(sizes: Sizes, probes: int = 0) -> Any:
    """Its Gaussian likelihood with midpoint steps, vectorised over points and compiled."""
    weights, _, _ = problem.trained(sizes)
    network, x1 = Network(weights), jnp.asarray(problem.points(sizes["points"]))
    noise = jax.random.rademacher(
        jax.random.key(1), (len(x1), max(probes, 1), problem.DIM), jnp.float32
    )

    @nnx.jit
    def log_prob(network: Any, x: Any) -> Any:
        def one(x: Any, noise: Any) -> Any:
            return -flow_matching.gaussian_nll(
                network, x, noise=noise if probes else None, num_steps=sizes["steps"],
                solver=diffrax.Midpoint(),
            )[0]  # fmt: skip

        return jax.vmap(one)(x, noise)

    name = "noisy_log_prob" if probes else "log_prob"
    said = {"parameters": problem.count(weights), name: float(log_prob(network, x1).mean())}
    return (lambda: jax.block_until_ready(log_prob(network, x1)) is None), said


def hutchinson(sizes: Sizes) -> Any:
    """The same with one probe per point."""
    return likelihood(sizes, probes=1)


VARIANTS = {"step": step, "likelihood": likelihood, "hutchinson": hutchinson}
