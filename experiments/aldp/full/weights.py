"""What likelihoods by enough steps say of weights: `python weights.py packed.npz RUNS [--sampled OUT]`.

RUNS has the log densities q of test frames (`evaluate.py`), which are samples of p = exp(-V)/Z: for
w = exp(-V)/q the share ESS = 1/(E_p[w] E_p[1/w]) is the one that samples of q have, seen from the other
side, and E_p[1/w] is 1/Z times the part of q that is where frames are. OUT, if given, has weighted
samples by the same steps: with both sides F = -log Z is Bennett's (J. Comput. Phys. 22, 245, 1976).
Writes weights.json and weights.md beside itself.
"""

import argparse
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from cell_files import numbers, samples, shuffled, split
from evaluate import energies
from report import NAMES, order
from scipy.optimize import root_scalar
from scipy.special import expit, logsumexp

import hiflow as hf
from hiflow_openmm import OpenMMEnergy, same_chirality

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="as made by pack.py")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--sampled", type=Path, help="a folder of cells with weighted samples")
    given = parser.parse_args()
    test, rows = shuffled(split(given.data)["test"]), []
    value = energies()
    for place in sorted((file.parent for file in given.runs.glob("*/numbers.json")), key=order):
        found = numbers(place)
        log_q = np.asarray(found["test_log_prob"])
        log_w = -value(test[: len(log_q)]).astype(float) - log_q
        row = {"cell": place.name, "solver_steps": found["solver_steps"], "frames": len(log_q)}
        row |= from_the_reference(log_w)
        if given.sampled is not None and (held := samples(given.sampled / place.name)):
            row |= from_samples(held, log_w)
        rows.append(row)
        print(row, flush=True)
    (HERE / "weights.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (HERE / "weights.md").write_text(table(rows), encoding="utf-8")


def from_the_reference(log_w: np.ndarray) -> dict:
    """Of samples of p."""
    n = np.log(len(log_w))
    unit = hf.metrics.Weighted(jnp.zeros((len(log_w), 1)), np.zeros(len(log_w)), log_w)
    other = hf.metrics.Weighted(jnp.zeros((len(log_w), 1)), np.zeros(len(log_w)), -log_w)
    return {
        "log10_ess": float((2 * n - logsumexp(log_w) - logsumexp(-log_w)) / np.log(10)),
        # Of 1/w and of w: the moments that the two means need.
        "pareto_k_inverse": unit.pareto_k, "pareto_k": other.pareto_k,
        "f": -unit.free_energy[0], "f_se": unit.free_energy[1],
    }  # fmt: skip


def from_samples(held: dict, log_w_of_p: np.ndarray) -> dict:
    """Of samples of q; those of the other handedness have weight 0."""
    energy = OpenMMEnergy.preset("aldp", reflections=False)
    right = np.asarray(same_chirality(energy, held["x"]))
    weighted = hf.metrics.Weighted(
        jnp.asarray(held["x"]), np.where(right, held["energies"], np.inf), held["log_prob"]
    )
    rng, log_w = np.random.default_rng(0), weighted.log_weights
    drawn = [
        bennett(rng.choice(log_w, len(log_w)), rng.choice(log_w_of_p, len(log_w_of_p)))
        for _ in range(200)
    ]
    return {
        "sampled": len(log_w), "sampled_steps": int(held["solver_steps"]),
        "sampled_ess": weighted.ess, "sampled_pareto_k": weighted.pareto_k,
        "bennett": bennett(log_w, log_w_of_p), "bennett_se": float(np.std(drawn)),
    }  # fmt: skip


def bennett(log_w_of_q: np.ndarray, log_w_of_p: np.ndarray) -> float:
    """F on which both sides agree."""
    m = np.log(len(log_w_of_q) / len(log_w_of_p))

    def gap(f: float) -> float:
        # w exp(F) is p/q.
        forward = expit(log_w_of_q + f - m).sum()
        return float(forward - expit(-log_w_of_p - f + m).sum())

    return float(root_scalar(gap, bracket=(-500.0, 500.0)).root)


def table(rows: list[dict]) -> str:
    lines = [
        "| frames | arm | log10 ESS, from 400 frames | k̂ of w, 1/w | F − log q(there) | samples "
        "| ESS, k̂ | F by both |",
        "|---:|---|---:|---|---|---:|---|---|",
    ]
    for row in rows:
        arm, frames, _ = row["cell"].split("-")
        more = ["", "", ""]
        if "sampled" in row:
            more = [
                f"{row['sampled']}",
                f"{100 * row['sampled_ess']:.2f} %, {row['sampled_pareto_k']:.1f}",
                f"{row['bennett']:.2f} ± {row['bennett_se']:.2f}",
            ]
        cells = [
            f"{int(frames):,}", NAMES[arm], f"{row['log10_ess']:.1f}".replace("-", "−"),
            f"{row['pareto_k']:.1f}, {row['pareto_k_inverse']:.1f}",
            f"{row['f']:.2f} ± {row['f_se']:.2f}", *more,
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
