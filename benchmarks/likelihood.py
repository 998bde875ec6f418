"""Likelihoods and samples: hiflow against ott-jax, lanes against what they need, slopes, precision.

Run `taskset -c 0 python benchmarks/likelihood.py PART` on an idle machine. Parts: `peers` (needs ott-jax
and flax), `lanes`, `slopes`, `methods`, `many --points 200000`. Both sides of a ratio are timed
interleaved in one process; medians of rounds. `many` times 2,000 points and says what all take.
"""

import argparse
import time

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from interleaved import seconds

import hiflow as hf


def medians(functions, rounds):
    """Median seconds of each, interleaved, after one call that compiles."""
    return {name: float(np.median(taken)) for name, taken in seconds(functions, rounds).items()}


def peers(options):
    """Exact and Hutchinson likelihoods of 256 points by 50 midpoint steps, D = 39, MLP 3 x 128."""
    from flax import nnx  # pyright: ignore[reportMissingImports]
    from ott.neural.methods import flow_matching

    key, dim = jax.random.key(0), 39
    network = hf.networks.MLP((dim,), width=128, depth=3, key=key)
    flow = hf.Flow(hf.priors.Normal(shape=(dim,)), network, solver="Midpoint", steps=50)
    x = jax.random.normal(jax.random.key(1), (256, dim))

    class Field(nnx.Module):
        """The same network in ott's signature."""

        def __call__(self, t, x, cond=None, *, rngs=None):
            return jax.vmap(network)(t, x)

    field, noise = Field(), jnp.ones((1, dim))
    settings = {"num_steps": 50, "solver": diffrax.Midpoint()}

    def by_ott(x, **more):
        return flow_matching.gaussian_nll(field, x, **settings, **more)[0]

    exact = jax.jit(jax.vmap(by_ott))
    probed = jax.jit(jax.vmap(lambda x: by_ott(x, noise=noise)))
    probes = {"divergence": hf.Hutchinson(), "key": key}
    apart = jnp.abs(exact(x) + flow.log_prob(x)).max()
    print(f"largest difference of the exact NLLs: {apart:.1e} nats")
    found = medians(
        {
            "exact, ott-jax": lambda: exact(x),
            "exact, hiflow": lambda: flow.log_prob(x),
            "Hutchinson, ott-jax": lambda: probed(x),
            "Hutchinson, hiflow": lambda: flow.log_prob(x, **probes),
        },
        options.rounds,
    )
    for kind in ("exact", "Hutchinson"):
        ours, theirs = found[f"{kind}, hiflow"], found[f"{kind}, ott-jax"]
        print(
            f"{kind}: {1e3 * ours:.1f} ms, ott-jax {1e3 * theirs:.1f} ms, ratio {ours / theirs:.2f}"
        )


def particles_flow(number):
    """A flow of an untrained particle network that moves."""
    network = hf.networks.EGNN(number, 3, 32, 3, key=jax.random.key(0))
    leaves, tree = jax.tree.flatten(eqx.filter(network, eqx.is_inexact_array))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [a + 0.05 * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    network = eqx.combine(jax.tree.unflatten(tree, moved), network)
    return hf.Flow(hf.priors.CentredNormal(particles=number, dim=3), network)


def trained(options):
    """The flow and points that `lanes` and `methods` use: a file, or LJ13 trained for `steps`."""
    energy = hf.energies.LennardJones.preset("lj13")
    data = hf.data.sample(energy, key=jax.random.key(0), size=4_000, progress=False)
    x = jnp.asarray(getattr(data, "x", data))
    if options.flow:
        return hf.load(options.flow), x[: options.points]
    flow = hf.fit(
        hf.networks.EGNN(13, 3, 32, 3, key=jax.random.key(1)), hf.paths.OptimalTransport(), x,
        prior=hf.priors.CentredNormal(13, 3), steps=options.steps, batch_size=128,
        key=jax.random.key(2), progress=False,
    )  # fmt: skip
    return flow, x[: options.points]


def lanes(options):
    """What the lanes execute for what they need, at several widths; and seconds."""
    flow, x = trained(options)
    for width in (None, 8, 16, 32, 128):
        stats = flow.log_prob_and_stats(x, chunk_size=width)[1]
        steps = np.asarray(stats.accepted + stats.rejected)
        chosen = width or 8
        start = time.perf_counter()
        jax.block_until_ready(flow.log_prob(x, chunk_size=width))
        seconds = time.perf_counter() - start
        print(
            f"width {width}: {seconds:.2f} s, executed {refilled(steps, chosen):.2f} for 1 needed "
            f"(chunks until their slowest: {chunked(steps, chosen):.2f})"
        )


def refilled(steps, width):
    """Lane steps that run for one that is needed, if who is done takes the next."""
    busy, queue = list(map(int, steps[:width])), list(map(int, steps[width:]))
    rounds = 0
    while busy:
        soonest = min(busy)
        rounds += soonest
        busy = [left - soonest for left in busy if left > soonest]
        while len(busy) < width and queue:
            busy.append(queue.pop(0))
    return rounds * width / steps.sum()


def chunked(steps, width):
    """The same if a chunk runs until its slowest is done."""
    parts = [steps[i : i + width] for i in range(0, len(steps), width)]
    return sum(len(part) * part.max() for part in parts) / steps.sum()


def slopes(options):
    """Seconds for a point's exact likelihood, 16 steps of Tsit5, by the number of particles."""
    rows = []
    for number, points in ((13, 64), (22, 32), (55, 8), (147, 2)):
        flow = particles_flow(number)
        x = flow.prior.sample(jax.random.key(2))[None] + jnp.zeros((points, 1, 1))
        found = medians({"": lambda f=flow, x=x: f.log_prob(x, steps=16)}, 3)[""] / points
        rows.append((number, found))
        print(f"{number} particles: {1e3 * found:.1f} ms")
    counts, seconds = np.log(np.array(rows)).T
    print(f"slope in the number: {np.polyfit(counts, seconds, 1)[0]:.2f}")


def methods(options):
    """Error and NFE of every adaptive method at several tolerances, against fine fixed steps."""
    flow, x = trained(options)
    exact = np.asarray(flow.log_prob(x, solver="Dopri8", steps=24))
    for method in ("Tsit5", "Dopri5", "Bosh3", "Dopri8"):
        for tolerance in (1e-3, 1e-4, 1e-5):
            given = {"solver": method, "rtol": tolerance, "atol": tolerance}
            log_prob, stats = flow.log_prob_and_stats(x, **given)
            start = time.perf_counter()
            jax.block_until_ready(flow.log_prob(x, **given))
            seconds = time.perf_counter() - start
            error = np.abs(np.asarray(log_prob) - exact).mean()
            what = f"error {error:.4f}, NFE {stats.nfe.mean():.1f}, {seconds:.2f} s"
            print(f"{method:7s} {tolerance:.0e}: {what}")
    for steps in (8, 12, 16):
        error = np.abs(np.asarray(flow.log_prob(x, solver="Tsit5", steps=steps)) - exact)
        print(f"Tsit5, {steps} steps: error {error.mean():.4f}, largest {error.max():.4f}")


def many(options):
    """Exact likelihoods at 66 dimensions (22 particles), 16 steps of Tsit5."""
    flow, timed = particles_flow(22), min(options.points, options.timed)
    x = flow.sample(jax.random.key(2), timed, steps=16)
    jax.block_until_ready(flow.log_prob(x, steps=16))
    start = time.perf_counter()
    jax.block_until_ready(flow.log_prob(x, steps=16))
    seconds = time.perf_counter() - start
    print(
        f"{timed} likelihoods at 66 dimensions: {seconds:.1f} s; {options.points} at that rate: "
        f"{seconds * options.points / timed:.0f} s"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parts = (peers, lanes, slopes, methods, many)
    parser.add_argument("part", choices=[part.__name__ for part in parts])
    parser.add_argument("--points", type=int, default=128)
    parser.add_argument("--timed", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--flow", help="a trained LJ13 flow's file")
    options = parser.parse_args()
    {part.__name__: part for part in parts}[options.part](options)


if __name__ == "__main__":
    main()
