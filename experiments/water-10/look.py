"""What the flows of a run sample: `python look.py RUN reference.extxyz`; writes look.json and look.png.

Of seed 0: bond lengths, angles and energies of 1,000 samples, and effective sizes and free energies of
400 with exact weights, energies by GFN2-xTB.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np

import hiflow as hf
from hiflow.coordinates import angles, bond_lengths
from hiflow_ase import AseEnergy

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
SAMPLES, WEIGHTED = 1_000, 400
ARMS = {
    "OT-FM": "ot-fm--10-frames",
    "isotropic, 0.01 Å": "isotropic-end-law--0-01-å--10-frames",
    "MeanRate, shift 300": "control--meanrate--shift-300--10-frames",
    "HI-FM, shift 300": "hi-fm--relaxed--shift-300--10-frames",
}


def main(run: str, file: str) -> None:
    options = {"method": "GFN2-xTB", "verbosity": 0}
    energy = AseEnergy("H2O", "tblite.ase:TBLite", options, temperature=300.0)
    reference = hf.data.load(file, energy=energy).points
    values = jax.lax.map(energy, reference[:SAMPLES])
    drawn, weights, table = {"reference": reference}, {}, {}
    for name, place in ARMS.items():
        flow = hf.load(Path(run) / "seed-0" / place / "flow.hiflow")
        drawn[name] = flow.sample(jax.random.key(0), SAMPLES)
        weighted = hf.metrics.importance_sample(flow, energy, key=jax.random.key(1), size=WEIGHTED)
        weights[name] = weighted
        free, error = weighted.free_energy
        above = jax.lax.map(energy, drawn[name]) - np.median(values)
        table[name] = {
            "ess": weighted.ess,
            "pareto_k": weighted.pareto_k,
            "-log Z less OT-FM's, kT": free - weights["OT-FM"].free_energy[0],
            "error": error,
            "median energy above the reference's, kT": float(np.median(above)),
            "mean OH, Å": float(shape_of(drawn[name])[0].mean()),
            "mean OH of the reference, Å": float(shape_of(reference)[0].mean()),
        }
        print(name, table[name], flush=True)
    (HERE / "look.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    draw(drawn, weights["HI-FM, shift 300"])


def shape_of(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the two bonds in Å, and angles in degrees."""
    lengths = np.asarray(bond_lengths(x, [[0, 1], [0, 2]]))
    return lengths.ravel(), np.degrees(np.asarray(angles(x, [[1, 0, 2]])))[:, 0]


def draw(drawn: dict, weighted: hf.metrics.Weighted) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    ranges = np.linspace(0.85, 1.1, 40), np.linspace(85, 125, 40)
    colours = ["0.75", "#999999", "#e69f00", "#009e73", "#0072b2"]
    for k, axis in enumerate(axes):
        for (name, x), colour in zip(drawn.items(), colours, strict=True):
            kind = {"histtype": "stepfilled"} if name == "reference" else {"histtype": "step"}
            found = np.clip(shape_of(x)[k], ranges[k][0], ranges[k][-1])
            axis.hist(
                found, ranges[k], density=True, color=colour, label=name, linewidth=1.8, **kind
            )
        found, share = shape_of(weighted.x)[k], weighted.weights
        if k == 0:
            share = np.repeat(share, 2)
        axis.hist(
            found, ranges[k], weights=share, density=True, histtype="step", color="#0072b2",
            linestyle=":", linewidth=1.8, label="HI-FM, reweighted",
        )  # fmt: skip
        axis.set(xlabel=["O–H, Å", "H–O–H, degrees"][k], ylabel="density")
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(HERE / "look.png", dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
