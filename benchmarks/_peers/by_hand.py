"""What a user would write in JAX and SciPy without a library."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from _peers import problem
from _peers.problem import Sizes


def field(weights: Any, t: Any, x: Any) -> Any:
    """The common network, of one point."""
    phase = jnp.pi * jnp.arange(1, 5) * t
    features = jnp.concatenate([jnp.reshape(2 * t - 1, 1), jnp.cos(phase), jnp.sin(phase)])
    y = jnp.concatenate([x, features])
    for matrix, bias in weights[:-1]:
        y = jax.nn.silu(matrix @ y + bias)
    return weights[-1][0] @ y + weights[-1][1]


def _arrays(weights: problem.Weights) -> Any:
    return [(jnp.asarray(matrix), jnp.asarray(bias)) for matrix, bias in weights]


def _loop(
    apply: Any, parameters: Any, points: Any, sizes: Sizes, full: bool, centred: bool = False
) -> Any:
    """Optimal-transport flow matching: one scan, with Adam; `full` with clipping, a schedule and an
    average of the weights too."""
    steps, batch = sizes["steps"], sizes["batch"]
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-3, steps // 2, steps, 1e-5)
    clipped = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    optimiser = clipped if full else optax.adam(1e-3)
    data = jnp.asarray(points)

    def loss_of(parameters: Any, x: Any, t: Any, target: Any) -> Any:
        velocity = jax.vmap(lambda s, y: apply(parameters, s, y))(t, x)
        return jnp.mean((velocity - target) ** 2)

    def step(carry: Any, key: Any) -> Any:
        parameters, average, memory = carry
        k1, k2, k3 = jax.random.split(key, 3)
        x1 = data[jax.random.randint(k1, (batch,), 0, data.shape[0])]
        x0 = jax.random.normal(k2, x1.shape)
        x0 = x0 - x0.mean(1, keepdims=True) if centred else x0
        t = jax.random.uniform(k3, (batch,))
        s = t.reshape(-1, *[1] * (x1.ndim - 1))
        target = x1 - x0
        loss, gradient = jax.value_and_grad(loss_of)(parameters, (1 - s) * x0 + s * x1, t, target)
        updates, memory = optimiser.update(gradient, memory, parameters)
        parameters = optax.apply_updates(parameters, updates)
        if full:
            average = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b, average, parameters)
        return (parameters, average, memory), loss

    @jax.jit
    def scan(carry: Any, keys: Any) -> Any:
        carry, losses = jax.lax.scan(step, carry, keys)
        return carry, losses.mean()

    start = (parameters, parameters if full else None, optimiser.init(parameters))
    keys = jax.random.split(jax.random.key(0), steps)
    return lambda: jax.block_until_ready(scan(start, keys)) is None


def bare_step(sizes: Sizes, full: bool = False) -> Any:
    """Adam alone."""
    weights = problem.initial_weights()
    facts = {
        "parameters": problem.count(weights),
        "velocity": problem.probe(
            sizes, lambda t, x: jax.vmap(lambda y: field(weights, jnp.asarray(t), y))(x)
        ),
    }
    return _per_step(_loop(field, _arrays(weights), problem.points(), sizes, full), sizes), facts


def full_step(sizes: Sizes) -> Any:
    """Adam with clipping, a schedule and an average."""
    return bare_step(sizes, full=True)


def egnn_step(sizes: Sizes) -> Any:
    """The full loop around hiflow's own particle network."""
    from hiflow.networks import EGNN

    network = EGNN(particles=13, dim=3, key=jax.random.key(0))
    parameters, static = eqx.partition(network, eqx.is_inexact_array)

    def apply(parameters: Any, t: Any, x: Any) -> Any:
        return eqx.combine(parameters, static)(t, x)

    points = problem.clusters(13, problem.POINTS, seed=3)
    run = _loop(apply, parameters, points, sizes, True, centred=True)
    return _per_step(run, sizes), {"parameters": sum(a.size for a in jax.tree.leaves(parameters))}


def _per_step(run: Any, sizes: Sizes) -> Any:
    import time

    def timed() -> dict[str, float]:
        begun = time.perf_counter()
        run()
        return {"seconds": (time.perf_counter() - begun) / sizes["steps"]}

    return timed


def ot(sizes: Sizes) -> Any:
    """SciPy's distances and assignment."""
    x0, x1 = (problem.clusters(13, sizes["batch"], s).reshape(-1, 39) for s in (4, 5))

    def pair() -> np.ndarray:
        _, columns = linear_sum_assignment(cdist(x1, x0, "sqeuclidean"))
        return x0[columns]

    return (lambda: pair() is None), {"cost": float(np.sum((pair() - x1) ** 2))}


def align(sizes: Sizes) -> Any:
    """Assignment and Kabsch's rotation in turns, until the distance no longer falls, 8 times at most."""
    x0, x1 = (problem.clusters(sizes["particles"], sizes["pairs"], seed) for seed in (6, 7))

    def nearest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        now, before, rounds = np.sum((x - y) ** 2), np.inf, 0
        while now < before and rounds < 8:
            _, order = linear_sum_assignment(-y @ x.T)
            x = x[order]
            left, _, right = np.linalg.svd(y.T @ x)
            x = x @ (left @ right).T
            now, before, rounds = np.sum((x - y) ** 2), now, rounds + 1
        return x

    def pair() -> np.ndarray:
        return np.stack([nearest(x, y) for x, y in zip(x0, x1, strict=True)])

    return (lambda: pair() is None), {"cost": float(np.sum((pair() - x1) ** 2))}


def likelihood(sizes: Sizes) -> Any:
    """Midpoint steps backwards in one scan, with the divergence, by reverse mode, only at the stage that
    enters the integral."""
    weights, _, _ = problem.trained(sizes)
    x1, arrays = jnp.asarray(problem.points(sizes["points"])), _arrays(weights)
    width, basis = 1 / sizes["steps"], jnp.eye(problem.DIM)

    def with_divergence(t: Any, x: Any) -> Any:
        velocity, pull = jax.vjp(lambda y: field(arrays, t, y), x)
        return velocity, jnp.trace(jax.vmap(lambda row: pull(row)[0])(basis))

    @jax.jit
    @jax.vmap
    def log_prob(x: Any) -> Any:
        def step(carry: Any, k: Any) -> Any:
            y, gained = carry
            t = 1 - width * k
            middle = y - width / 2 * field(arrays, t, y)
            velocity, divergence = with_divergence(t - width / 2, middle)
            return (y - width * velocity, gained - width * divergence), None

        (y, gained), _ = jax.lax.scan(step, (x, jnp.zeros(())), jnp.arange(sizes["steps"]))
        return gained - jnp.sum(y**2) / 2 - problem.DIM / 2 * jnp.log(2 * jnp.pi)

    facts = {"parameters": problem.count(weights), "log_prob": float(log_prob(x1).mean())}
    return (lambda: jax.block_until_ready(log_prob(x1)) is None), facts


VARIANTS = {
    "bare_step": bare_step,
    "full_step": full_step,
    "egnn_step": egnn_step,
    "ot": ot,
    "align": align,
    "likelihood": likelihood,
}
