"""Water at 300 K by GFN2-xTB: ten frames to train on, and many to judge by, of chains of their own.

    python experiments/water-10/make_data.py experiments/water-10

writes `ten.extxyz`, each frame with its energy and forces, and `reference.extxyz`. It needs `tblite`
beside hiflow-ase.
"""

import argparse
from pathlib import Path

import ase.io
import jax
import jax.numpy as jnp

import hiflow as hf
from hiflow_ase import AseEnergy, relax


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=2_048, help="frames of the reference")
    parser.add_argument("--chains", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    options = {"method": "GFN2-xTB", "verbosity": 0}
    energy = AseEnergy("H2O", "tblite.ase:TBLite", options, temperature=300.0)
    minimum = relax(energy, energy.atoms.positions)
    keys = jax.random.split(jax.random.key(given.seed))
    for key, name, size, chains in (
        (keys[0], "ten.extxyz", 10, 10),
        (keys[1], "reference.extxyz", given.size, given.chains),
    ):
        drawn = hf.data.sample(
            energy, key=key, size=size, chains=chains, burn_in=100, thin=5, leapfrog_steps=8,
            first_step=0.005, start=jnp.tile(minimum, (chains, 1, 1)), cache=False,
        )  # fmt: skip
        frames = []
        for number, positions in enumerate(drawn.points):
            atoms = energy.atoms.copy()
            atoms.positions = positions
            if name == "ten.extxyz":
                atoms.calc = energy.molecule.calculator
                atoms.get_forces()
            else:
                atoms.info["chain"] = number % chains
            frames.append(atoms)
        ase.io.write(given.folder / name, frames)


if __name__ == "__main__":
    main()
