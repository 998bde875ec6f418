"""What the Hessian could gain on a system, in minutes: end laws at few samples, without any network.

    python experiments/few/screen.py fput lynx allen-cahn   # files of this folder, or names below

A flow that has learned all of its few end laws has the density that is their mixture. So this
tells the NLL of test points under such mixtures at 10 and 30 points, settings chosen by validation
points, and what `Relaxed` has less than each rival, ± the standard error over four draws of the points.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from run import OWN

import hiflow as hf
from hiflow import experiments
from hiflow._disk import trusting

HERE = Path(__file__).parent
DRAWS, POOL, HELD = 4, 1000, 256
SHIFTS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
WIDTHS = (3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)


def allen_cahn(x, coupling=0.1, beta=20.0):
    """A field on a line that is 0 at both ends, as of Gabrié, Rotskoff, Vanden-Eijnden (2022)."""
    h = 1 / (len(x) + 1)
    along = coupling / 2 * jnp.sum(jnp.diff(jnp.pad(x, 1)) ** 2) / h
    return beta * (along + h * jnp.sum((1 - x**2) ** 2) / (4 * coupling))


def eight_schools(z):
    """Rubin's (1981), as it is: effects by 10, their mean by 5, the logarithm of their spread."""
    found = jnp.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    error = jnp.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    effects, mean, log_spread = 10 * z[:8], 5 * z[8], z[9]
    spread = jnp.exp(log_spread)
    prior = mean**2 / 50 + jnp.log1p((spread / 5) ** 2) - log_spread
    each = (found - effects) ** 2 / (2 * error**2) + (effects - mean) ** 2 / (2 * spread**2)
    return jnp.sum(each) + 8 * log_spread + prior


OTHERS = {
    "allen-cahn": lambda: hf.energies.FunctionEnergy(allen_cahn, 32),
    "eight-schools": lambda: hf.energies.FunctionEnergy(eight_schools, 10),
    "mullerbrown at 10": lambda: hf.energies.MullerBrown(temperature=10.0),
    "mullerbrown at 20": lambda: hf.energies.MullerBrown(temperature=20.0),
}


def main(*names):
    """Print, per system and number of samples, the NLLs and what `Relaxed` has less."""
    for name in names:
        with trusting(*OWN):
            energy = (
                OTHERS[name]()
                if name in OTHERS
                else experiments.make_energy(experiments.read(HERE / f"{name}.toml"))
            )
        assert energy is not None
        drawn = hf.data.sample(energy, key=jax.random.key(0), size=POOL + 2 * HELD, progress=False)
        print(f"{name}\n{drawn.report}")
        points = drawn.points[np.random.default_rng(0).permutation(POOL + 2 * HELD)]
        for size in (10, 30):
            screen(energy, points, size)


def screen(energy, points, size):
    pool, held, test = np.split(points, [POOL, POOL + HELD])
    generator, nll = np.random.default_rng(size), {}
    for _ in range(DRAWS):
        x = pool[generator.choice(POOL, size, replace=False)]
        for arm, candidates in families(energy).items():
            scored = [[of_end_laws(path, x, y) for y in (held, test)] for path in candidates]
            nll.setdefault(arm, []).append(min(scored)[1])
    hero = np.asarray(nll["Relaxed"])
    for arm, values in nll.items():
        less = hero - np.asarray(values)
        error = less.std(ddof=1) / np.sqrt(DRAWS)
        print(f"  {size}  {arm:12} {np.mean(values):8.2f}   {less.mean():+7.2f} ± {error:.2f}")


def families(energy):
    def relaxed(curvature):
        return hf.paths.Relaxed(energy, hessian="dense", curvature=curvature, step=1.0)

    shifted = [{"name": "absolute", "shift": shift} for shift in SHIFTS]
    return {
        "isotropic": [hf.paths.Langevin(energy, curvature="constant", beta=b) for b in WIDTHS],
        "shuffled": [relaxed({"name": "shuffled", "inner": inner}) for inner in shifted],
        "mean rate": [relaxed({"name": "mean-rate", "inner": inner}) for inner in shifted],
        "Langevin": [
            hf.paths.Langevin(energy, hessian="dense", curvature=curvature) for curvature in shifted
        ],
        "Relaxed": [relaxed(curvature) for curvature in shifted],
    }


def of_end_laws(path, x, points):
    """Mean NLL of `points` under the equal mixture of the end laws at `x`."""
    anchors = hf.paths.make_anchors(path, x)

    @jax.jit
    @jax.vmap
    def log_prob(y):
        each = jax.vmap(lambda anchor: path.log_prob(y, anchor, jnp.asarray(1.0)))(anchors)
        return logsumexp(each) - jnp.log(len(x))

    return -float(jnp.mean(log_prob(points)))


if __name__ == "__main__":
    main(*sys.argv[1:])
