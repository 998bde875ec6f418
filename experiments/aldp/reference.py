"""Reference samples of alanine dipeptide at 300 K: `python reference.py [aldp-300K.npz]`.

About ten minutes on one core: 64 chains of Hamiltonian Monte Carlo from the minimum, with turns about
single bonds as moves of their own, so that φ crosses; 1,600 frames of each.
"""

import sys

import jax
import numpy as np

import hiflow as hf
from hiflow_openmm import OpenMMEnergy, torsions


def main(path: str) -> None:
    energy = OpenMMEnergy.preset("aldp", reflections=False)
    data = hf.data.sample(
        energy,
        key=jax.random.key(0),
        size=64 * 1_600,
        chains=64,
        burn_in=1_000,
        thin=5,
    )
    print(data.report)
    phi = np.asarray(torsions(energy, data.points)["phi"])
    share = np.mean(phi > 0)
    print(f"P(φ > 0) = {share:.4f}, F(φ > 0) − F(φ < 0) = {np.log((1 - share) / share):.3f} kT")
    data.save(path)


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["aldp-300K.npz"]))
