"""What the cells gave: `python report.py packed.npz RUNS`, the archives of `run.py` unpacked in RUNS.

Writes cells.json, cells.md and cells.png beside itself.
"""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from cell_files import numbers, samples, split

import hiflow as hf
from hiflow_openmm import OpenMMEnergy, same_chirality, torsions

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
KT = 2.494  # kJ/mol, at 300 K
NAMES = {"ot": "OT-FM, aligned", "force": "bridge, force", "relaxed": "HI-FM, Relaxed"}


def main(data: str, runs: str) -> None:
    energy = OpenMMEnergy.preset("aldp", reflections=False)
    frames = split(data)
    reference = angles_of(energy, frames["test"])
    energies = np.asarray(jax.vmap(energy)(jnp.asarray(frames["test"])))
    cells, pictures = [], {}
    places = [place.parent for place in Path(runs).glob("*/numbers.json")]
    scores = {}
    for place in sorted(places, key=order):
        found = numbers(place)
        # Files that don't say it are of 12 steps, and their test frames in another order.
        steps = found.setdefault("solver_steps", 12)
        key = found["arm"], found["frames"], found["seed"], steps
        scores[key] = -np.asarray(found.pop("test_log_prob", [np.nan]))
        found |= {"tests": len(scores[key])} | mean("nll", scores[key])
        if (rival := scores.get(("ot", *key[1:]))) is not None and key[0] != "ot":
            same = min(len(rival), len(scores[key]))
            found |= mean("minus_ot", scores[key][:same] - rival[:same])
        found["history"] = validations(found.get("history", []))
        found["weights_of_step"] = weights_of_step(found)
        if held := samples(place):
            # They may be of another evaluation, with steps of its own.
            found["solver_steps_of_samples"] = int(held.pop("solver_steps", 12))
            # An evaluation that was cut off has none without densities.
            held = {"plain": held.get("x"), "plain_energies": held.get("energies")} | held
            found |= looked_at(energy, held, reference, energies)
            pictures[place.name] = angles_of(energy, held["plain"])
        cells.append(found)
        print({k: v for k, v in found.items() if k != "history"}, flush=True)
    (HERE / "cells.json").write_text(
        json.dumps(cells, indent=1, default=float) + "\n", encoding="utf-8"
    )
    (HERE / "cells.md").write_text(table(cells), encoding="utf-8")
    draw(cells, pictures, reference)


def order(place: Path) -> tuple[int, int]:
    """OT-FM first, as the others are compared with it; then by frames."""
    arm, frames, _ = place.name.split("-")
    return list(NAMES).index(arm), int(frames)


def mean(name: str, values: np.ndarray) -> dict[str, float]:
    """Mean and its standard error over test frames, as if these were independent."""
    return {name: values.mean(), f"{name}_se": values.std() / np.sqrt(len(values))}


def validations(rows: list[dict]) -> list[dict]:
    """The rows that have a validation, each once and by step."""
    found = {row["step"]: row for row in rows if "nll" in row}
    return [found[step] for step in sorted(found)]


def weights_of_step(cell: dict) -> int:
    """The step whose weights are evaluated: the last, or the one of the best validation."""
    if cell["validation"] == cell["validation_last"]:
        return cell["steps"]
    return min(cell["history"], key=lambda row: row["nll"])["step"]


def angles_of(energy, x) -> np.ndarray:
    """φ and ψ in radians."""
    found = torsions(energy, jnp.asarray(x))
    return np.stack([found["phi"], found["psi"]], axis=1)


def looked_at(energy, held, reference, energies):
    """Figures of a cell's samples, and of its weighted ones."""
    plain = angles_of(energy, held["plain"])
    torus = hf.metrics.torus_wasserstein(
        jnp.asarray(plain), jnp.asarray(reference), key=jax.random.key(2), size=1_500
    )
    right = np.asarray(same_chirality(energy, held["plain"]))
    found = {
        "median_above": np.median(held["plain_energies"]) - np.median(energies),
        "right_chirality": right.mean(),
        # Of the right enantiomers: the mirror image of φ < 0 has φ > 0.
        "phi_positive": np.mean(plain[right, 0] > 0),
        "torus_w2": torus.value,
        "torus_w2_floor": torus.floor,
    }
    if "x" not in held:
        return found
    # A mirror image isn't a state of this molecule: the reference has none, so its weight is left out.
    right = np.asarray(same_chirality(energy, held["x"]))
    kept = np.where(right, held["energies"], np.inf)
    weighted = hf.metrics.Weighted(
        jnp.asarray(held["x"]), kept, held["log_prob"], units=energy.units
    )
    clipped = weighted.clipped(2e-3)
    at = angles_of(energy, held["x"])
    w2 = hf.metrics.torus_wasserstein(
        jnp.asarray(at),
        jnp.asarray(reference),
        key=jax.random.key(2),
        weights=clipped.weights,
        size=1_500,
    )
    found |= {
        "weighted": len(right), "ess": weighted.ess, "ess_clipped": clipped.ess,
        "ess_trimmed": weighted.trimmed(2e-3).ess, "pareto_k": weighted.pareto_k,
        "torus_w2_weighted": w2.value,
    }  # fmt: skip
    for name, one in (("", weighted), ("_clipped", clipped)):
        try:
            delta = hf.metrics.free_energy_between(one, at[:, 0] <= 0, at[:, 0] > 0)
        except ValueError:  # No weight on one side.
            continue
        found |= {f"delta_f{name}": delta.value, f"delta_f{name}_se": delta.error}
    return found


def table(cells) -> str:
    lines = [
        "| arm | frames | steps (evaluated) | seconds (of steps) | solver's steps (of samples) "
        "| test frames | NLL, nats | minus OT-FM | ESS "
        "| clipped 0.2 % | k̂ | n | F(φ > 0) − F(φ < 0), kT (kJ/mol) | torus W2 (reweighted), rad "
        "| right enantiomer | φ > 0 as sampled | median V above, kT |",
        "|---|" + "---:|" * 16,
    ]
    for c in cells:
        get = c.get
        difference = "–"
        if "delta_f_clipped" in c:
            value, error = c["delta_f_clipped"], c["delta_f_clipped_se"]
            difference = f"{signed(value)} ± {error:.2f} ({signed(KT * value)} ± {KT * error:.2f})"
            # Above, neither the value nor its error mean what they say.
            difference += ", not to be trusted" if c["pareto_k"] > 0.7 else ""
        row = [
            NAMES[c["arm"]], f"{c['frames']:,}", f"{c['steps']:,} ({c['weights_of_step']:,})",
            f"{c['seconds']:.0f} ({c['seconds_of_steps']:.0f})",
            f"{c['solver_steps']} ({get('solver_steps_of_samples', '–')})", f"{c['tests']}",
            f"{signed(c['nll'])} ± {c['nll_se']:.2f}",
            f"{signed(c['minus_ot'], '+')} ± {c['minus_ot_se']:.2f}" if "minus_ot" in c else "",
            percent(get("ess")), percent(get("ess_clipped")), f"{get('pareto_k', np.nan):.1f}",
            f"{get('weighted', 0):,}", difference,
            f"{get('torus_w2', np.nan):.2f} ({get('torus_w2_weighted', np.nan):.2f})",
            percent(get("right_chirality"), 1), percent(get("phi_positive"), 1),
            f"{get('median_above', np.nan):.0f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def signed(value: float, sign: str = "-") -> str:
    """With a true minus, and a plus if `sign` says so."""
    return f"{value:{sign}.2f}".replace("-", "−")


def percent(part: float | None, digits: int = 2) -> str:
    return "–" if part is None else f"{100 * part:.{digits}f} %"


def draw(cells, pictures, reference) -> None:
    """NLL against frames, and Ramachandran plots of the largest sets."""
    largest = {
        arm: max((c["frames"] for c in cells if c["arm"] == arm), default=0) for arm in NAMES
    }
    shown = {
        f"{NAMES[arm]}, {frames:,} frames": pictures[name]
        for arm, frames in largest.items()
        for name in pictures
        if name.startswith(f"{arm}-{frames}-")
    }
    figure, axes = plt.subplots(
        1, 2 + len(shown), figsize=(3.3 * (2 + len(shown)), 3.5), layout="constrained"
    )
    for arm, color in zip(NAMES, ("#0072b2", "#d55e00", "#009e73"), strict=True):
        mine = [c for c in cells if c["arm"] == arm]
        bars = [c["nll_se"] for c in mine]
        axes[0].errorbar(
            [c["frames"] for c in mine],
            [c["nll"] for c in mine],
            bars,
            label=NAMES[arm],
            color=color,
            marker="o",
        )
    axes[0].set(xscale="log", xlabel="training frames", ylabel="NLL of test frames, nats")
    axes[0].legend(fontsize=8)
    for axis, (name, found) in zip(
        axes[1:], ({"reference": reference} | shown).items(), strict=True
    ):
        axis.plot(*np.degrees(found[:4_000].T), ".", markersize=1.5, color="#0072b2", alpha=0.5)
        axis.set(
            title=name, xlabel="φ, degrees", xlim=(-180, 180), ylim=(-180, 180),
            xticks=(-120, 0, 120), yticks=(-120, 0, 120), aspect="equal",
        )  # fmt: skip
        axis.title.set_fontsize(9)
    axes[1].set_ylabel("ψ, degrees")
    figure.savefig(HERE / "cells.png", dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
