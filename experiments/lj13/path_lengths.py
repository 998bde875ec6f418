"""Path lengths, NFE and paired likelihoods of the arms of a run folder, as a Markdown table.

    python experiments/lj13/path_lengths.py runs/couplings

The length of a sample's path is the integral of the speed along it, from 256 prior samples that all
arms share; the distance is from its start to its end. Likelihoods are compared with the first arm's
point by point on the run's own test points.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf
from hiflow import experiments

STEPS = 100


@jax.jit
def path_length(flow, x0):
    """Length and end-to-end distance of the paths that start at `x0`, by the midpoint rule."""

    def step(x, k):
        t = (k + 0.5) / STEPS
        middle = x + flow.network(k / STEPS, x) / (2 * STEPS)
        velocity = flow.network(t, middle)
        return x + velocity / STEPS, jnp.sqrt(jnp.sum(velocity**2)) / STEPS

    def one(x):
        end, pieces = jax.lax.scan(step, x, jnp.arange(1.0 * STEPS))
        return jnp.sum(pieces), jnp.sqrt(jnp.sum((end - x) ** 2))

    return jax.vmap(one)(x0)


def main(root):
    run = experiments.RunFolder(root)
    what = run.experiment()
    seed = min(seed for _, seed in run.flows())
    energy = experiments.make_energy(what)
    _, test = experiments.make_data(what, energy, seed, progress=False)
    print("| arm | path length | distance | length / distance | NLL | less the first arm's | NFE |")
    print("|---|---|---|---|---|---|---|")
    first = None
    for (label, at), file in run.flows().items():
        if at != seed:
            continue
        flow = hf.load(file)
        x0 = jax.vmap(flow.prior.sample)(jax.random.split(jax.random.key(0), 256))
        length, distance = path_length(flow, x0)
        log_p, stats = flow.log_prob_and_stats(test)
        first = log_p if first is None else first
        gap = np.asarray(first - log_p)
        print(
            f"| {label} | {length.mean():.2f} | {distance.mean():.2f} "
            f"| {(length / distance).mean():.3f} | {-log_p.mean():.3f} "
            f"| {gap.mean():+.3f} ± {gap.std(ddof=1) / np.sqrt(len(gap)):.3f} "
            f"| {stats.nfe.mean():.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1])
