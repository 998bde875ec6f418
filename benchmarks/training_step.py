"""Training-step times, as ratios: the spectral path against optimal transport, and `fit`'s loop
against a hand-written scanned Equinox loop with the same network. All variants run interleaved.

    python benchmarks/training_step.py
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import hiflow as hf
from hiflow.training._pairing import paired_draws
from hiflow.training._step import Batches, Recipe, Scheduled, advance, initial_state

PARTICLES, DIM, BATCH, STEPS, ROUNDS, POINTS = 13, 3, 256, 20, 7, 2_000
KEY = jax.random.key(0)


def hiflow_loop(network, path, points, prior):
    parameters, static = eqx.partition(network, eqx.is_inexact_array)
    optimiser = Scheduled("adam", 1e-3, 100, 1.0, 10_000)
    anchors = hf.paths.make_anchors(path, points)
    parts = (hf.couplings.Independent(), hf.time_samplers.Stratified())
    batches = Batches(points, prior, *parts, None, KEY, size=BATCH)
    recipe = Recipe(anchors, path, static, None, optimiser, 0.999)

    def run():
        state = initial_state(parameters, optimiser)
        (draws,) = paired_draws(batches, [(0, STEPS)], STEPS)
        return advance((recipe, draws, jnp.asarray(STEPS, jnp.int32)), state)[1]

    return run


def hand_written_loop(network, points):
    """What a user would write without a library: OT-FM, Adam, EMA, one scan."""
    parameters, static = eqx.partition(network, eqx.is_inexact_array)
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-3, 100, 10_000, 1e-5)
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    def loss_of(parameters, x, t, target):
        velocity = jax.vmap(eqx.combine(parameters, static))(t, x)
        return jnp.mean((velocity - target) ** 2)

    def step(carry, key):
        parameters, average, memory = carry
        k1, k2, k3 = jax.random.split(key, 3)
        x1 = points[jax.random.randint(k1, (BATCH,), 0, points.shape[0])]
        x0 = jax.random.normal(k2, x1.shape)
        x0 = x0 - x0.mean(1, keepdims=True)
        t = (jnp.arange(BATCH) + jax.random.uniform(k3, (BATCH,))) / BATCH
        s = t[:, None, None]
        loss, gradient = jax.value_and_grad(loss_of)(parameters, (1 - s) * x0 + s * x1, t, x1 - x0)
        updates, memory = adam.update(gradient, memory, parameters)
        parameters = optax.apply_updates(parameters, updates)
        average = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b, average, parameters)
        return (parameters, average, memory), loss

    @jax.jit
    def run_scan(carry, keys):
        return jax.lax.scan(step, carry, keys)[1].mean()

    def run():
        carry = (parameters, parameters, adam.init(parameters))
        return run_scan(carry, jax.random.split(KEY, STEPS))

    return run


def main():
    energy = hf.energies.LennardJones.preset("lj13")
    prior = hf.priors.CentredNormal(particles=PARTICLES, dim=DIM)
    # Times don't depend on the points' values; prior samples will do.
    points = jax.vmap(prior.sample)(jax.random.split(KEY, POINTS))
    spectral = {
        "Linearised": hf.paths.Linearised(energy=energy, hessian="analytic", rates="saturating"),
        "Langevin": hf.paths.Langevin(energy=energy, hessian="analytic"),
    }
    networks = {
        "EGNN 32x3": hf.networks.EGNN(particles=PARTICLES, dim=DIM, width=32, depth=3, key=KEY),
        "MLP 96x3": hf.networks.MLP(
            shape=(PARTICLES, DIM), width=96, depth=3, projects_on=prior.group, key=KEY
        ),
    }
    print(
        f"D = {PARTICLES * DIM}, batch {BATCH}, {jax.devices()[0].device_kind}; medians of {ROUNDS}"
    )
    for name, network in networks.items():
        loops = {"OT": hiflow_loop(network, hf.paths.OptimalTransport(), points, prior)}
        loops |= {k: hiflow_loop(network, path, points, prior) for k, path in spectral.items()}
        loops["hand-written OT"] = hand_written_loop(network, points)
        times = {label: [] for label in loops}
        for run in loops.values():
            jax.block_until_ready(run())
        for _ in range(ROUNDS):
            for label, run in loops.items():
                begun = time.perf_counter()
                jax.block_until_ready(run())
                times[label].append((time.perf_counter() - begun) / STEPS)
        median = {label: float(np.median(values)) for label, values in times.items()}
        for label, seconds in median.items():
            print(f"{name:10s} {label:16s} {1e3 * seconds:8.2f} ms per step")
        for label in spectral:
            print(f"{name:10s} {label} / OT = {median[label] / median['OT']:.3f}")
        print(f"{name:10s} fit / hand-written = {median['OT'] / median['hand-written OT']:.3f}")


if __name__ == "__main__":
    main()
