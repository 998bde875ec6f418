"""What maximum likelihood adds to trained flows of `targets.toml`: `hiflow.finish` on each, and the
effective sample size before and after.

    python experiments/lj13/finish.py runs/targets runs/finished --arms aligned bridge--force--late

A folder per flow, written as it ends; flows that are there already are passed over.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import jax
import numpy as np

import hiflow as hf
from hiflow import experiments
from hiflow._disk import write_json

HERE = Path(__file__).parent


def main() -> None:
    """Each arm's flow of each seed, in the order given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--arms", nargs="+", required=True, help="folder names of arms")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--samples", type=int, default=2_048)
    parser.add_argument("--validation", type=int, default=256)
    parser.add_argument("--size", type=int, default=20_000, help="training points")
    given = parser.parse_args()
    whole = experiments.read(HERE / "targets.toml")
    table = whole.tables["data"] | {"validation": given.validation, "size": given.size}
    experiment = dataclasses.replace(whole, tables={**whole.tables, "data": table})
    energy = experiments.make_energy(experiment)
    for seed in given.seeds:
        train, _ = experiments.make_data(experiment, energy, seed, progress=False)
        held = experiments.make_validation(experiment, energy, seed, progress=False)
        for arm in given.arms:
            place = given.out / f"{arm}-{seed}"
            if not (place / "numbers.json").is_file():
                found = next(given.runs.glob(f"**/seed-{seed}/{arm}/flow.hiflow"))
                one(hf.load(found), energy, train, held, seed, given, place)


def one(flow, energy, train, held, seed, given, place) -> None:
    """Finishes a flow and weighs its samples, before and after."""
    place.mkdir(parents=True, exist_ok=True)
    numbers = {"ess_before": weighed(flow, energy, seed, given.samples)}
    print(place.name, numbers, flush=True)
    history, began = hf.History(), time.perf_counter()
    better = hf.finish(
        flow, train, validation=held, key=jax.random.key(seed), steps=given.steps,
        batch_size=given.batch, learning_rate=given.rate, validate_at=50, history=history,
    )  # fmt: skip
    numbers |= {"seconds": time.perf_counter() - began, "history": history.rows}
    better.save(place / "flow.hiflow")
    print(place.name, json.dumps(history.rows), flush=True)
    numbers |= {"ess_after": weighed(better, energy, seed, given.samples)}
    numbers |= {"settings": {key: str(value) for key, value in vars(given).items()}}
    write_json(place / "numbers.json", numbers, indent=1)
    print(place.name, {k: v for k, v in numbers.items() if k != "history"}, flush=True)


def weighed(flow, energy, seed: int, size: int) -> dict[str, float]:
    """The effective sample size of weighted samples, as a share, and what says if it holds."""
    found = hf.metrics.importance_sample(flow, energy, key=jax.random.key(seed + 100), size=size)
    return {"ess": float(found.ess), "pareto_k": float(np.asarray(found.pareto_k))}


if __name__ == "__main__":
    main()
