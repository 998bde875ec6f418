"""Run folders side by side: paired likelihoods, what they cost, and samples against the energy."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from hiflow import energies, metrics
from hiflow._disk import fingerprint, write_arrays, write_json, write_text
from hiflow.experiments._comparison import Comparison, Member
from hiflow.experiments._data import make_data, make_validation
from hiflow.experiments._fitted import make_energy
from hiflow.experiments._page import page
from hiflow.experiments._run_folder import RunFolder, image_samples, read_history
from hiflow.experiments._toml import Experiment
from hiflow.flow import load

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5)
STEPS = (4, 8, 16, 32, 64)
_TIGHT = 1e-6
_ENOUGH = 5_000


def compare(
    runs: Sequence[str | os.PathLike[str]],
    *,
    against: str | None = None,
    only: Sequence[str] = (),
    sweep: int = 0,
    samples: int = 0,
    console: Console | None = None,
) -> Comparison:
    """Compare the arms of one or several run folders of the same experiment or energy.

    Likelihoods are compared point by point, seed by seed, with those of the reference arm. Arms with a
    `family` are also compared by their family's best, chosen by its mean NLL over `[data]`'s
    `validation` points. What has to be computed anew is kept in the run folders.

    **Arguments:**

    - `against`: label of the reference arm, by default the first (of every variant).
    - `only`: the labels to compare, by default all.
    - `sweep`: on how many test points of the first seed the NLL is computed at several tolerances and
      fixed numbers of steps; 0 leaves that out.
    - `samples`: how many samples are drawn from every flow and weighted by the energy; 0 for none.

    **Raises:** `ValueError` if the runs have different energies or test points, or a label is unknown.
    """
    console = console or Console()
    folders = [RunFolder(run) for run in runs]
    experiments = [folder.experiment() for folder in folders]
    if any(ex.tables.get("energy") != experiments[0].tables.get("energy") for ex in experiments):
        raise ValueError("compare: the runs are of different energies.")
    energy = make_energy(experiments[0])
    members = [m for pair in zip(folders, experiments, strict=True) for m in _members(*pair)]
    members = _chosen(members, only)
    if energy is None and samples:
        raise ValueError(
            "compare: `samples` are weighted by an [energy], and the experiment has none."
        )
    for member in members:
        if energy is not None:
            _control(member, energy)
        if member.family:
            member.validation = _kept(member, "validation", lambda m=member: _validate(m, energy))
        if sweep and member.seed == min(m.seed for m in members if m.label == member.label):
            member.sweep = _kept(
                member, f"sweep-{sweep}", lambda m=member: _sweep(m, sweep, energy)
            )
            console.print(f"swept: {member.label}, seed {member.seed}")
        if samples:
            member.weighted = _weighted(member, samples, energy)
            console.print(
                f"sampled: {member.label}, seed {member.seed}: ESS {member.weighted.ess:.1%}"
            )
    return Comparison(members, energy, against, experiments[0])


def _control(member: Member, energy: energies.AbstractEnergy) -> None:
    points, test = _data(member, energy)
    # The mean over few points would move the NLL by its own error.
    if points.shape[0] >= _ENOUGH:
        values = jax.jit(jax.vmap(energy))
        member.energies = np.asarray(values(test))
        member.mean_energy = float(np.asarray(values(points), np.float64).mean())


def test_points(member: Member, energy: energies.AbstractEnergy | None) -> jax.Array:
    """The test points of the member's run and seed."""
    return _data(member, energy)[1]


def _data(member: Member, energy: energies.AbstractEnergy | None) -> tuple[jax.Array, jax.Array]:
    points, test = make_data(member.experiment, energy, member.seed, progress=False)
    if fingerprint(points=test).digest != member.test:
        raise ValueError(
            f"{member.place}: the test points that its configuration gives now aren't those it was "
            "scored on (another version of hiflow or JAX, another machine, or a changed file). Train it "
            "again, or compare where it was trained."
        )
    return points, test


def _members(folder: RunFolder, experiment: Experiment) -> list[Member]:
    tables = {arm["label"]: arm for arm in experiment.arms}
    found = []
    for (label, seed), flow in folder.flows().items():
        rows = read_history(flow.parent)
        if not rows or "log_prob" not in rows[-1]:
            raise ValueError(f"{flow.parent}: its history has no test points; train it again.")
        data = json.loads((folder.root / f"seed-{seed}" / "data.json").read_text())
        table = tables[label]
        parts = (table["arm"], table["variant"], table.get("family", ""))
        found.append(
            Member(label, *parts, seed, flow.parent, rows, data["test_points"], experiment)
        )
    return found


def _chosen(members: list[Member], only: Sequence[str]) -> list[Member]:
    labels = {member.label for member in members}
    for label in only:
        if label not in labels:
            raise ValueError(
                f"compare: no arm {label!r} has finished; there are {', '.join(sorted(labels))}."
            )
    keys = [(member.label, member.seed) for member in members]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"compare: two runs hold the arm {key[0]!r} with seed {key[1]}.")
    return [member for member in members if not only or member.label in only]


def _kept(member: Member, name: str, make: Any) -> Any:
    """What `make` gives, from the arm's folder if it was made before."""
    path = member.place / f"{name}.json"
    if not path.exists():
        write_json(path, make(), indent=None)
    return json.loads(path.read_text())


def _validate(member: Member, energy: Any) -> float:
    points = make_validation(member.experiment, energy, member.seed, progress=False)
    return metrics.negative_log_likelihood(load(member.place / "flow.hiflow"), points).nll


def _sweep(member: Member, n: int, energy: Any) -> list[dict[str, Any]]:
    """NLL and NFE by setting; the first row is the reference, at tight tolerances."""
    flow, points = load(member.place / "flow.hiflow"), test_points(member, energy)[:n]
    settings = [
        {"rtol": tolerance, "atol": tolerance, "solver": diffrax.Tsit5()}
        for tolerance in (_TIGHT, *TOLERANCES)
    ]
    settings += [{"steps": steps, "solver": diffrax.Tsit5()} for steps in STEPS]
    rows = []
    for given in settings:
        figures = metrics.negative_log_likelihood(flow, points, **given)
        label = f"{given['steps']} steps" if "steps" in given else f"tolerance {given['rtol']:.0e}"
        rows.append({"setting": label, **dataclasses.asdict(figures)})
    return rows


def _weighted(member: Member, n: int, energy: Any) -> metrics.Weighted:
    path = member.place / f"samples-{n}.npz"
    if not path.exists():
        flow = load(member.place / "flow.hiflow")
        x, log_prob = flow.sample_and_log_prob(jax.random.key(member.seed), n)
        write_arrays(path, {"x": np.asarray(x), "log_prob": np.asarray(log_prob)})
    with np.load(path, allow_pickle=False) as stored:
        return metrics.weigh(jnp.asarray(stored["x"]), jnp.asarray(stored["log_prob"]), energy)


def write(comparison: Comparison, out: str | os.PathLike[str]) -> list[Path]:
    """Write the page, its numbers and its figures into a folder; the files written."""
    root = Path(out)
    root.mkdir(parents=True, exist_ok=True)
    figures = _figures(comparison)
    for name, figure in figures.items():
        figure.savefig(root / f"{name}.png", dpi=150)
    write_json(root / "comparison.json", comparison.numbers(), indent=1)
    write_text(root / "comparison.md", page(comparison, figures))
    names = ["comparison.md", "comparison.json", *(f"{name}.png" for name in figures)]
    return [root / name for name in names]


def _figures(comparison: Comparison) -> dict[str, Any]:
    from hiflow import plotting

    energy, first = comparison.energy, comparison.shown_first()
    figures: dict[str, Any] = {}
    histories = comparison.histories()
    # A curve takes two points.
    if any(len(rows) > 1 for seeds in histories.values() for rows in seeds):
        figures["learning"] = plotting.learning_curves(histories, floor=comparison.floor)
    if energy is not None and energy.event_shape == (2,):
        points, _ = _data(next(iter(first.values())), energy)
        flows = {label: load(member.place / "flow.hiflow") for label, member in first.items()}
        nll = {label: float(member.nll.mean()) for label, member in first.items()}
        figures["densities"] = plotting.densities_in_the_plane(
            flows, points, energy=energy, nll=nll
        )
    if (pixels := comparison.pixels) is not None:
        shown = {
            label: pixels.to_pixels(image_samples(member.place, member.seed))
            for label, member in first.items()
        }
        figures["images"] = plotting.image_grids(shown, pixels.levels)
    if comparison.swept():
        figures["pareto"] = plotting.error_against_nfe(comparison.swept())
    if energy is not None and comparison.weighed():
        reference = jnp.concatenate(_data(comparison.members[0], energy))
        figures["samples"] = plotting.sample_histograms(comparison.weighed(), reference, energy)
    return figures
