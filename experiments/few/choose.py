"""What `hiflow.choose_path` chooses for the few samples of these files, and what its flow is worth.

    python experiments/few/choose.py ring-10 0 1 2    # a system and number of samples, seeds
    python experiments/few/choose.py --report         # the table of what there is

Adds to `choice.json`: of every seed the choice, its NLL on the test points of the comparisons, and the
seconds that the choice took. At most the arms' number of steps. Of seeds that the comparisons don't
have, or have of other samples, the arms are run too, with the settings that the comparison chose by its
own seeds' validation points; runs are kept in `runs/choose`, their NLLs in `choice.json`.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from run import OWN, read

import hiflow as hf
from hiflow import experiments
from hiflow._disk import trusting, write_json
from hiflow.experiments._committed import rows_that_count

HERE = Path(__file__).parent
RUNS = HERE.parents[1] / "runs" / "choose"
FILE = HERE / "choice.json"
# Their comparisons' samples were drawn by another version of JAX, which draws others.
OTHER_SAMPLES = ("dw4-10", "dw4-30")


def main(name, *seeds):
    """Choose, train and score; the arms too where they are not known."""
    if name == "--report":
        print("\n".join(report()))
        return
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    rows = found.setdefault(name, {})
    with trusting(*OWN):
        for seed in map(int, seeds):
            row = rows.get(str(seed)) or chosen(name, seed)
            rows[str(seed)] = row | {"arms": row.get("arms") or arms(name, seed)}
            write_json(FILE, found, indent=1)
            print(name, seed, rows[str(seed)], flush=True)


def chosen(name, seed):
    """The choice for one seed's first points."""
    experiment, size = read(name), int(name.rsplit("-", 1)[1])
    energy = experiments.make_energy(experiment)
    assert energy is not None, "all of these files have one"
    train, test = experiments.make_data(experiment, energy, seed, progress=False)
    few = train[:size]
    key_network, key = jax.random.split(jax.random.key(seed))
    arm = experiments.make_arm(
        experiment, experiment.arms[0], energy, energy.event_shape, key_network
    )
    training = dataclasses.replace(arm.training, keep="last", patience=None, validate_at=())
    given = {"prior": arm.prior, "energy": energy, "key": key, "training": training}
    given |= {"solver_settings": arm.solver, "progress": False}
    begun = time.perf_counter()
    choice = hf.choose_path(arm.network, few, **given)
    seconds = time.perf_counter() - begun
    print(choice, flush=True)
    flow = hf.fit(arm.network, choice.path, few, steps=choice.steps, **given)
    row = {"label": choice.label, "steps": choice.steps, "path": choice.table}
    return {**row, "nll": float(-flow.log_prob(test).mean()), "seconds": round(seconds)}


def arms(name, seed):
    """Arm to its NLL of a seed: as the comparison has it, or else with the settings that it chose."""
    file = HERE / name / "comparison.json"
    rows = rows_that_count(file)
    if seed < len(rows[0]["by_seed"]) and name not in OTHER_SAMPLES:
        return {row["family"] or row["arm"]: row["by_seed"][seed] for row in rows}
    experiment, folder = read(name), RUNS / name
    names = {row["arm"]: row["family"] or row["arm"] for row in rows}
    tables = [{**arm, "family": ""} for arm in experiment.tables["arm"] if arm["label"] in names]
    experiment = dataclasses.replace(experiment, tables={**experiment.tables, "arm": tables})
    comparison = experiments.train(
        experiment, folder, seeds=[seed], resume=folder.exists(), console=Console(quiet=True)
    )
    numbers = comparison.numbers()
    of_seed = [member for member in numbers["members"] if member["seed"] == seed]
    labels = {row["label"]: names[row["arm"]] for row in numbers["rows"]}
    return {labels[member["label"]]: member["nll"] for member in of_seed}


def report():
    """Mean NLLs over the seeds, by choice and of the arm that is best in the mean over them."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    yield "| system, samples | seeds | by choice | best arm | loss | what was chosen |"
    yield "|---|---|---|---|---|---|"
    for name, rows in found.items():
        ordered = sorted(rows, key=int)
        for seeds in ([s for s in ordered if int(s) < 5], [s for s in ordered if int(s) >= 5]):
            if seeds:
                yield line(name, {seed: rows[seed] for seed in seeds})


def line(name, rows):
    mean = np.mean([row["nll"] for row in rows.values()])
    labels = next(iter(rows.values()))["arms"]
    best = {label: np.mean([row["arms"][label] for row in rows.values()]) for label in labels}
    least = min(best, key=lambda label: best[label])
    kinds = [row["label"].split(",")[0] for row in rows.values()]
    told = ", ".join(f"{kind} × {kinds.count(kind)}" for kind in dict.fromkeys(kinds))
    loss = f"{mean - best[least]:+.2f}"
    cells = [name, ", ".join(rows), f"{mean:.2f}", f"{least}, {best[least]:.2f}", loss, told]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(*sys.argv[1:])
