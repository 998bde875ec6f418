"""Seeds of an arm of a file at once, by `fit_many`: test NLL, NFE and effective sample size of each.

    python experiments/lj13/seeds.py experiments/lj13/targets.toml runs/seeds --arms independent
    python experiments/lj13/seeds.py --table runs/seeds independent    # each arm less this one

Flows and numbers are written as an arm ends; arms that are there are passed over, and one that was cut
short goes on from its last checkpoint. The flows are those of `hiflow train` on the file up to rounding;
weights are the last ones.
"""

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path

import jax
import numpy as np
from finish import short, worth

import hiflow as hf
from hiflow import experiments
from hiflow._disk import write_json
from hiflow._statistics import mean_over
from hiflow.experiments._slug import slug


def main() -> None:
    """Each arm, in the order given; or the table of what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="of the experiment; of a table, the folder of runs")
    parser.add_argument("out", help="folder of runs; of a table, the arm that differences are from")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--arms", nargs="+", help="folder names of arms")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="in place of the file's")
    parser.add_argument("--samples", type=int, default=2_048)
    given = parser.parse_args()
    if given.table:
        print("\n".join(table(Path(given.file), given.out)))
        return
    experiment, out = experiments.read(given.file), Path(given.out)
    energy = experiments.make_energy(experiment)
    # All seeds see the same points: the file gives the data a seed of their own.
    train, test = experiments.make_data(experiment, energy, 0, progress=False)
    points = train, None, test
    tables = {slug(arm["label"]): arm for arm in experiment.arms}
    out.mkdir(parents=True, exist_ok=True)
    for name in given.arms:
        if not (out / f"{name}.json").is_file():
            rows = trained(experiment, tables[name], energy, points, given, out / name)
            write_json(out / f"{name}.json", rows, indent=1)


def trained(experiment, table, energy, points, given, place) -> list[dict]:
    """The flows of an arm, saved; of each what it is worth."""
    keys = [jax.random.split(jax.random.key(seed)) for seed in given.seeds]
    shape = energy.event_shape
    arms = [experiments.make_arm(experiment, table, energy, shape, key) for key, _ in keys]
    first, settings = arms[0], dataclasses.replace(arms[0].training, validate_at=())
    histories = [hf.History() for _ in keys]
    flows = hf.fit_many(
        [arm.network for arm in arms], first.path, points[0], prior=first.prior, energy=energy,
        keys=[key for _, key in keys], training=settings.changed(steps=given.steps or settings.steps),
        solver_settings=first.solver, progress=False, histories=histories, checkpoint_dir=place,
        resume=True,
    )  # fmt: skip
    seconds = histories[0].rows[-1]["seconds"] / len(flows)
    rows = []
    for seed, flow in zip(given.seeds, flows, strict=True):
        flow.save(place.parent / f"{place.name}-{seed}.hiflow")
        numbers = worth(flow, energy, points, seed, given.samples)
        row = {"seed": seed, "seconds": seconds, "points": digest(points[2]), **numbers}
        rows.append(row)
        print(place.name, short(row), flush=True)
    return rows


def digest(points) -> str:
    """Tells test points from others: differences of arms are paired over them."""
    return hashlib.sha256(np.asarray(points, np.float32).tobytes()).hexdigest()[:16]


def table(folder: Path, against: str):
    """Means over the seeds; differences are paired over seeds and test points, which all share."""
    rows = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
    tested = {name: sorted({row.get("points") for row in each}) for name, each in rows.items()}
    if others := [name for name, points in tested.items() if points != tested[against]]:
        raise SystemExit(
            f"{', '.join(others)}: other test points than {against}'s. Run them again."
        )
    yield f"| arm | controlled, seed by seed | less {against} | NFE | ESS |"
    yield "|---|---|---|---|---|"
    base = {row["seed"]: np.asarray(row["of_points"]) for row in rows[against]}
    for name, each in rows.items():
        more = [np.asarray(row["of_points"]) - base[row["seed"]] for row in each]
        found = mean_over(more, ["the test points"] * len(more))
        cells = [
            name,
            ", ".join(f"{row['controlled']:.2f}" for row in each),
            "" if name == against else f"{found.value:+.3f} ± {found.error:.3f}",
            f"{np.mean([row['nfe'] for row in each]):.0f}",
            ", ".join(f"{row['ess']:.0%}" for row in each),
        ]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
