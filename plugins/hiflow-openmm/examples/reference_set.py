"""A reference set of alanine dipeptide: independent chains, and whether they agree about φ and ψ.

    python plugins/hiflow-openmm/examples/reference_set.py aldp.npz [--size 10240] [--thin 2]

`--size 102400 --thin 5` is a set for experiments.
"""

import argparse

import hiflow as hf
import jax
import numpy as np
from arviz_stats.base import array_stats

from hiflow_openmm import OpenMMEnergy, same_chirality, torsions


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", help="an .npz file, for hf.data.load and `[data] file`")
    parser.add_argument("--preset", default="aldp", choices=OpenMMEnergy.presets)
    parser.add_argument("--temperature", type=float, default=300.0, help="in K")
    parser.add_argument("--size", type=int, default=10_240)
    parser.add_argument("--chains", type=int, default=64)
    parser.add_argument("--thin", type=int, default=2, help="updates from one frame to the next")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    energy = OpenMMEnergy.preset(given.preset, temperature=given.temperature, reflections=False)
    samples = hf.data.sample(
        energy, key=jax.random.key(given.seed), size=given.size, chains=given.chains,
        burn_in=max(300, 10 * given.thin), thin=given.thin, cache=False,
    )  # fmt: skip
    samples.save(given.out)
    print(f"{energy.units}; {same_chirality(energy, samples.points).mean():.2%} of the L form")
    draws = given.size // given.chains
    angles = torsions(energy, samples.points[: draws * given.chains])
    for name, angle in angles.items():
        table = np.asarray(angle, np.float64).reshape(draws, given.chains)
        for function in (np.cos, np.sin):
            r_hat = array_stats.rhat(function(table), chain_axis=1, draw_axis=0)
            size = array_stats.ess(function(table), chain_axis=1, draw_axis=0)
            print(f"{function.__name__} {name}: R-hat {r_hat:.4f}, effective size {size:.0f}")
    phi = np.asarray(angles["phi"]).reshape(draws, given.chains)
    left = (phi > 0) & (phi < np.radians(120))
    error = left.mean(0).std(ddof=1) / np.sqrt(given.chains)
    crossed = int((left[1:] != left[:-1]).sum())
    print(f"0 < φ < 120°: {left.mean():.4f} ± {error:.4f} over chains; {crossed} crossings")


if __name__ == "__main__":
    main()
