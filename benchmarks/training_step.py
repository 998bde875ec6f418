"""Training-step times, as ratios: `fit`'s loop against hand-written scanned Equinox loops with the same
network and the same draws, and spectral paths against optimal transport.

    taskset -c 0 python benchmarks/training_step.py              # or: mlp, egnn

Variants are timed in turn in one process; printed are medians of ratios, and quartiles. The bare loop
has Adam alone; the full one clips, follows `fit`'s schedule and averages the weights as it does, and its
loss is held against that of `fit`: it does the same work. Then comes where the batch of a spectral path
spends its time, and what the same numbers cost to copy.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from interleaved import ratio, seconds

import hiflow as hf
from hiflow.training._draws import Batches
from hiflow.training._optimiser import Scheduled
from hiflow.training._pairing import paired_draws
from hiflow.training._step import Recipe, advance, initial_state

PARTICLES, DIM, STEPS, ROUNDS, POINTS = 13, 3, 50, 7, 2_000
KEY = jax.random.key(0)


def hiflow_loop(network, path, points, prior, batch, steps=STEPS):
    parameters, static = eqx.partition(network, eqx.is_inexact_array)
    optimiser = Scheduled("adam", 1e-3, 100, 1.0, 10_000)
    anchors = hf.paths.make_anchors(path, points)
    parts = (hf.couplings.Independent(), hf.time_samplers.Stratified())
    batches = Batches(points, prior, *parts, None, KEY, size=batch)
    recipe = Recipe(anchors, path, static, None, optimiser, 0.999)

    def run():
        state = initial_state(parameters, optimiser)
        (draws,) = paired_draws(batches, [(0, steps)], steps)
        return advance((recipe, draws, jnp.asarray(steps, jnp.int32)), state)[1]

    return run


def hand_written_loop(network, points, batch, full):
    """What a user would write without a library: OT-FM in one scan."""
    parameters, static = eqx.partition(network, eqx.is_inexact_array)
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-3, 100, 10_000, 1e-5)
    adam = optax.adam(1e-3)
    if full:
        adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    def draw(step):
        key = jax.random.fold_in(KEY, step)
        k_index, k_prior, _, k_time = jax.random.split(key, 4)
        x1 = points[jax.random.randint(k_index, (batch,), 0, points.shape[0])]
        x0 = jax.vmap(lambda k: jax.random.normal(k, x1.shape[1:]))(
            jax.random.split(k_prior, batch)
        )
        x0 = x0 - x0.mean(1, keepdims=True)
        t = (jnp.arange(batch) + jax.random.uniform(k_time, (batch,))) / batch
        s = t[:, None, None]
        return t, (1 - s) * x0 + s * x1, x1 - x0

    def loss_of(parameters, t, x, target):
        velocity = jax.vmap(eqx.combine(parameters, static))(t, x)
        return jnp.mean((velocity - target) ** 2)

    def step(carry, number):
        parameters, average, memory = carry
        loss, gradient = jax.value_and_grad(loss_of)(parameters, *draw(number))
        updates, memory = adam.update(gradient, memory, parameters)
        parameters = optax.apply_updates(parameters, updates)
        if full:
            decay = jnp.minimum(0.999, (1 + number) / (10 + number))
            average = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, average, parameters)
        return (parameters, average, memory), loss

    @jax.jit
    def run_scan(carry):
        return jax.lax.scan(step, carry, jnp.arange(STEPS))[1].mean()

    return lambda: run_scan((parameters, parameters, adam.init(parameters)))


def spectral_parts(path, points, batch):
    """The parts of a dense path's batch, each in a compiled loop of its own."""
    anchors = hf.paths.make_anchors(path, points)
    k_index, k_x, k_time = jax.random.split(KEY, 3)
    index = jax.random.randint(k_index, (STEPS, batch), 0, points.shape[0])
    x0 = jax.random.normal(k_x, (STEPS, batch, *points.shape[1:]))
    t = jax.random.uniform(k_time, (STEPS, batch))
    vectors, anyhow = anchors.modes.vectors, jnp.arange(batch)

    def gathered(index, tree):
        return jax.lax.optimization_barrier(jax.tree.map(lambda leaf: leaf[index], tree))

    def product(chosen, x):
        return jnp.einsum("bdk,bd->bk", chosen, x.reshape(batch, -1), precision="highest")

    def whole(index, x, t):
        return jax.vmap(path.flow_and_velocity)(x, gathered(index, anchors), t)

    def one_product(index, x, t):
        return product(gathered(anyhow + 0 * index, vectors), x)

    def schedule(index, x, t):
        speeds = anchors.speeds[:batch]
        return jax.vmap(lambda s, a: jax.jvp(lambda u: path.time.decay(u, a), (s,), (1 + 0 * s,)))(
            t, speeds
        )

    def loop(part):
        @jax.jit
        def run(index, x0, t):
            def body(total, one):
                return total + sum(leaf.sum() for leaf in jax.tree.leaves(part(*one))), None

            return jax.lax.scan(body, 0.0, (index, x0, t))[0]

        return lambda: run(index, x0, t)

    parts = {
        "the whole batch": whole,
        "vectors gathered, one product": one_product,
        "schedule": schedule,
    }
    table, rows = np.asarray(vectors), np.asarray(index)
    copies = {"vectors copied by NumPy": lambda: [table[row][0, 0, 0] for row in rows]}
    return {name: loop(part) for name, part in parts.items()} | copies


def compare(name, network, points, prior, batch):
    """Print the table of one network."""
    energy = hf.energies.LennardJones.preset("lj13")
    spectral = {
        "Linearised": hf.paths.Linearised(energy=energy, hessian="analytic", rates="saturating"),
        "Langevin": hf.paths.Langevin(energy=energy, hessian="analytic"),
    }
    paths = {"isotropic": hf.paths.OptimalTransport()} | spectral
    loops = {k: hiflow_loop(network, path, points, prior, batch) for k, path in paths.items()}
    loops["full hand loop"] = hand_written_loop(network, points, batch, full=True)
    loops["bare hand loop"] = hand_written_loop(network, points, batch, full=False)
    np.testing.assert_allclose(loops["isotropic"](), loops["full hand loop"](), rtol=1e-4)
    times = seconds(loops, ROUNDS)
    print(f"\n{name}, D = {PARTICLES * DIM}, batch {batch}")
    for label, taken in times.items():
        print(f"  {label:16s} {1e3 * np.median(taken) / STEPS:8.3f} ms per step")
    print("  " + ratio(times, "isotropic", "full hand loop"))
    print("  " + ratio(times, "isotropic", "bare hand loop"))
    for label in spectral:
        print("  " + ratio(times, label, "isotropic"))
    return spectral["Linearised"]


def main():
    networks = sys.argv[1:] or ["mlp", "egnn"]
    prior = hf.priors.CentredNormal(particles=PARTICLES, dim=DIM)
    # Times don't depend on the points' values; prior samples will do.
    points = jax.vmap(prior.sample)(jax.random.split(KEY, POINTS))
    print(f"{jax.devices()[0].device_kind}; {ROUNDS} rounds of {STEPS} steps")
    if "mlp" in networks:
        mlp = hf.networks.MLP((PARTICLES, DIM), 128, 3, projects_on=prior.group, key=KEY)
        path = compare("MLP 128x3", mlp, points, prior, 256)
        for part, taken in seconds(spectral_parts(path, points, 256), ROUNDS).items():
            print(f"  {part:32s} {1e3 * np.median(taken) / STEPS:8.3f} ms per batch")
    if "egnn" in networks:
        egnn = hf.networks.EGNN(particles=PARTICLES, dim=DIM, width=32, depth=3, key=KEY)
        compare("EGNN 32x3", egnn, points, prior, 128)


if __name__ == "__main__":
    main()
