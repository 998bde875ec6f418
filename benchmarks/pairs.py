"""Which way to sum over pairs of particles: values with gradients, batched, as ratios to the library's.

    taskset -c 0 python benchmarks/pairs.py

The ways: differences as a product with the incidence matrix; gathered from both particles; and all
ordered pairs, each counted half. The library takes the first below 24 particles and the last from there.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from interleaved import ratio, seconds

import hiflow as hf

SIZES, BATCH, ROUNDS = (4, 13, 20, 26, 38, 55, 80), 256, 9


def incidence(x):
    """Of every pair once."""
    i, j = np.triu_indices(len(x), 1)
    eye = np.eye(len(x), dtype=x.dtype)
    return jnp.sum(jnp.matmul(eye[i] - eye[j], x, precision="highest") ** 2, axis=-1), 1.0


def gathered(x):
    """Of every pair once."""
    i, j = np.triu_indices(len(x), 1)
    return jnp.sum((x[i] - x[j]) ** 2, axis=-1), 1.0


def ordered(x):
    """Of every pair twice; what a particle has with itself is infinitely far."""
    s = jnp.sum(jnp.stack([(c[:, None] - c) ** 2 for c in x.T]), axis=0)
    return jnp.where(jnp.eye(len(x), dtype=bool), jnp.inf, s), 0.5


def main():
    """One line per number of particles."""
    for particles in SIZES:
        energy = hf.energies.LennardJones(particles)
        x = jax.random.normal(jax.random.key(0), (BATCH, particles, 3))

        def summed(x, way, energy=energy):
            s, share = way(x)
            core = energy.core**2
            slope = energy.pair_derivatives(core)[0]
            pairs = energy.pair(jnp.maximum(s, core)) + slope * jnp.minimum(s - core, 0)
            return share * pairs.sum() + energy.trap / 2 * jnp.sum((x - x.mean(0)) ** 2)

        ways: dict[str, Callable] = {"library": energy}
        for way in (incidence, gathered, ordered):
            ways[way.__name__] = lambda x, way=way: summed(x, way)
        runs = {name: jax.jit(jax.vmap(jax.value_and_grad(of))) for name, of in ways.items()}
        times = seconds({name: partial(run, x) for name, run in runs.items()}, ROUNDS)
        took = np.median(times["library"]) / BATCH * 1e6
        told = [ratio(times, name, "library") for name in runs if name != "library"]
        print(f"{particles} particles: library {took:.1f} us; {'; '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
