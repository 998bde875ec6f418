r"""The variance of plain and force-controlled targets against time, predicted and measured.

    python experiments/targets/variance.py lj13 chain8
    python experiments/targets/variance.py experiments/aldp/aldp.toml

Names of presets below, or TOML files, of which the energy, the data and the prior are taken. Writes
`NAME.json` beside this file for every system, and `variance.png` of all of them.

Optimal transport, independent pairs, the control by the mean Hessian as a number and as the energy's
group leaves it. Per free dimension, in units of the prior's variance: what is taken out of the
target's variance, 1/(t² + h(1 − t)²) in the mean over the eigenvalues h by prediction, and
E(‖u‖² − ‖u + Ac‖²)/D by measurement on pairs other than those that H was estimated on.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf
from hiflow import experiments, targets
from hiflow.training._components import Components

HERE = Path(__file__).parent
TIMES = [0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999]
PAIRS = 40_000
SYSTEMS = {
    "lj13": ({"name": "lennard-jones", "preset": "lj13"}, 20_000),
    "chain8": ({"name": "bead-chain", "preset": "chain8"}, 10_000),
}
"""Energies, and how many samples of each are drawn."""
HEADER = "| t | plain | predicted, h | measured | predicted, group | measured |"


def system(name):
    """Its energy, prior and samples."""
    if name in SYSTEMS:
        table, size = SYSTEMS[name]
        energy = hf.energies.registry.make(table)
        data = hf.data.sample(energy, key=jax.random.key(0), size=size)
        prior = hf.priors.CentredNormal(*energy.event_shape)
        return energy, prior, data.points
    experiment = experiments.read(name)
    energy = experiments.make_energy(experiment)
    if energy is None:
        raise SystemExit(f"{name}: has no [energy] of a fixed form, whose forces could be used.")
    points, _ = experiments.make_data(experiment, energy, 0, progress=False)
    made = Components(energy.event_shape, jax.random.key(0))
    return energy, made.prior(experiment.tables.get("prior", "normal")), points


def measured(energy, prior, points):
    """Rows over times, and the mean Hessians."""
    path = hf.paths.OptimalTransport(prior_scale=prior.scale, group=prior.group)
    parts = targets.Parts(path, prior, hf.couplings.Independent(), energy)
    half = len(points) // 2
    controls, path = {}, None
    for form in ("scalar", "group"):
        control = targets.ForceControlled(form)
        control.check(parts)
        path = control.path_for(parts)
        controls[form] = control.prepare(parts, path, hf.paths.make_anchors(path, points[:half]))
    anchors = hf.paths.make_anchors(path, points[half:])
    keys = jax.random.split(jax.random.key(1), PAIRS)

    @jax.jit
    def at(t):
        def one(key):
            k_index, k_prior = jax.random.split(key)
            index = jax.random.randint(k_index, (), 0, len(points) - half)
            anchor = jax.tree.map(lambda leaf: leaf[index], anchors)
            pair = targets.Pair(prior.sample(k_prior), anchor, t, index, jnp.uint32(0))
            _, u = targets.Plain()(path, pair)
            controlled = {name: jnp.sum(to(path, pair)[1] ** 2) for name, to in controls.items()}
            return jnp.sum(u**2), controlled

        return jax.lax.map(one, keys, batch_size=1_000)

    virial = hf.data.check_virial(energy, points)
    free, unit = virial.expected, float(prior.scale) ** 2
    rows = []
    for t in TIMES:
        plain, controlled = at(jnp.asarray(t))
        row: dict[str, Any] = {"t": t, "plain": float(plain.mean()) / free / unit}
        for name, values in controlled.items():
            drop = np.asarray(plain - values, np.float64) / free / unit
            predicted = float(controls[name].removed(path, jnp.asarray(t))) / unit
            row[name] = {
                "predicted": predicted,
                "measured": float(drop.mean()),
                "se": float(drop.std() / np.sqrt(PAIRS)),
            }
        rows.append(row)
    hessians = {name: np.asarray(to.found.values).tolist() for name, to in controls.items()}
    return {
        "virial": [virial.mean, virial.standard_error, virial.expected],
        "prior_scale": float(prior.scale),
        "mean_hessian": hessians,
        "rows": rows,
    }


def picture(found):
    """Predicted lines and measured points, a panel per system."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(4.2 * len(found), 3.4), squeeze=False)
    for axis, (name, result) in zip(axes[0], found.items(), strict=True):
        t = np.array([row["t"] for row in result["rows"]])
        left = np.maximum(1 - t, 1e-4)
        forms = ["scalar", "group"] if len(result["mean_hessian"]["group"]) > 1 else ["scalar"]
        for form, colour in zip(forms, ("C0", "C3"), strict=False):
            h = np.array(result["mean_hessian"][form])[:, None] * result["prior_scale"] ** 2
            s = np.geomspace(1e-3, 1, 200)
            line = np.mean(1 / ((1 - s) ** 2 + h * s**2), axis=0)
            axis.plot(s, line, colour, label=f"predicted, {form}")
            points = [row[form]["measured"] for row in result["rows"]]
            bars = [row[form]["se"] for row in result["rows"]]
            axis.errorbar(left, points, bars, fmt="o", color=colour, ms=3.5, label="measured")
        axis.set(xscale="log", xlabel="1 − t", title=name, ylim=(-0.05, None))
        axis.invert_xaxis()
        axis.legend(frameon=False, fontsize=8)
    axes[0, 0].set_ylabel("variance taken out per dimension")
    figure.tight_layout()
    figure.savefig(HERE / "variance.png", dpi=150)


def main(names):
    """Measure the systems that are named, and draw all that were measured."""
    for name in names:
        result = measured(*system(name))
        file = HERE / f"{Path(name).stem}.json"
        file.write_text(json.dumps(result, indent=1) + "\n")
        h = np.array(result["mean_hessian"]["group"])
        h_mean = np.mean(result["mean_hessian"]["scalar"])
        mean, error, exact = result["virial"]
        print(f"{name}: h = {h_mean:.1f}, by the group {h.min():.3g} … {h.max():.3g}; ", end="")
        print(f"virial {mean:.2f} ± {error:.2f} of {exact}\n{HEADER}\n|---|---|---|---|---|---|")
        for row in result["rows"]:
            cells = [f"{row['t']:g}", f"{row['plain']:.3f}"]
            for form in ("scalar", "group"):
                one = row[form]
                cells += [f"{one['predicted']:.4f}", f"{one['measured']:.4f} ± {one['se']:.4f}"]
            print(f"| {' | '.join(cells)} |")
    files = sorted(HERE.glob("*.json"))
    picture({file.stem: json.loads(file.read_text()) for file in files if file.stem != "cost"})


if __name__ == "__main__":
    main(sys.argv[1:])
