"""What the flows of a run sample: `python look.py RUN aldp-300K.npz`; writes look.json and look.png.

Torsions, energies, chirality and distances from the reference are of 2,000 samples without densities;
effective sample sizes of 256 with exact ones.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

import hiflow as hf
from hiflow_openmm import OpenMMEnergy, same_chirality, torsions

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
SAMPLES, WEIGHTED = 2_000, 256


def main(run: str, file: str) -> None:
    energy = OpenMMEnergy.preset("aldp", reflections=False)
    reference = hf.data.load(file).points[: 4 * SAMPLES]
    angles = {"reference": both(energy, reference[:SAMPLES])}
    energies = {"reference": np.asarray(jax.vmap(energy)(reference))}
    table = {}
    for place in sorted(Path(run).glob("seed-0/*/flow.hiflow")):
        name = place.parent.name
        flow = hf.load(place)
        x = flow.sample(jax.random.key(0), SAMPLES, steps=12)
        angles[name] = both(energy, x)
        energies[name] = np.asarray(jax.vmap(energy)(x))
        weighted = hf.metrics.importance_sample(
            flow, energy, key=jax.random.key(1), size=WEIGHTED, steps=12
        )
        everything = both(energy, reference)
        distance = hf.metrics.torus_wasserstein(
            jnp.asarray(angles[name]), jnp.asarray(everything), key=jax.random.key(2), size=1_000
        )
        phi = angles[name][:, 0]
        table[name] = {
            "ess": weighted.ess,
            "pareto_k": weighted.pareto_k,
            "median energy above the reference's, kT": above(energies, name),
            "right chirality": float(np.mean(same_chirality(energy, x))),
            "share of phi > 0": float(np.mean(phi > 0)),
            "torus W2, rad": distance.value,
            "torus W2 within the reference, rad": distance.floor,
        }
        print(name, table[name], flush=True)
    (HERE / "look.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    draw(angles, energies)


def both(energy: OpenMMEnergy, x: Any) -> np.ndarray:
    """φ and ψ in radians, `(n, 2)`."""
    found = torsions(energy, x)
    return np.stack([found["phi"], found["psi"]], axis=1)


def above(energies: dict, name: str) -> float:
    return float(np.median(energies[name]) - np.median(energies["reference"]))


def draw(angles: dict, energies: dict) -> None:
    figure, axes = plt.subplots(
        1, len(angles), figsize=(3.2 * len(angles), 3.4), sharey=True, layout="constrained"
    )
    for axis, (name, found) in zip(axes, angles.items(), strict=True):
        axis.plot(*np.degrees(found.T[:2]), ".", markersize=2, color="#0072b2", alpha=0.5)
        axis.set(
            title=f"{name}\nmedian V {np.median(energies[name]):.0f} kT",
            xlabel="φ, degrees",
            xlim=(-180, 180),
        )
        axis.set(ylim=(-180, 180), xticks=(-120, 0, 120), yticks=(-120, 0, 120), aspect="equal")
    axes[0].set_ylabel("ψ, degrees")
    figure.savefig(HERE / "look.png", dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
