"""What maximum likelihood adds to trained flows of `targets.toml`: `hiflow.finish` on each; test NLL and
effective sample size before and after.

    python experiments/lj13/finish.py runs/targets runs/finished --arms aligned bridge--force--late

A folder per flow, written as it ends; flows that are there already are passed over.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import jax
import numpy as np
import optax

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
    parser.add_argument("--estimator", default="path", help="plain or path")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=1e-3, help="the first; it falls to zero")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--solver-steps", type=int, default=8, help="of Tsit5, in training")
    parser.add_argument("--every", type=int, default=50, help="steps between validations")
    parser.add_argument("--samples", type=int, default=4_096)
    parser.add_argument("--validation", type=int, default=256)
    parser.add_argument("--test", type=int, default=256)
    parser.add_argument("--size", type=int, default=20_000, help="training points")
    given = parser.parse_args()
    whole = experiments.read(HERE / "targets.toml")
    sizes = {name: getattr(given, name) for name in ("validation", "test", "size")}
    experiment = dataclasses.replace(
        whole, tables={**whole.tables, "data": whole.tables["data"] | sizes}
    )
    energy = experiments.make_energy(experiment)
    for seed in given.seeds:
        train, test = experiments.make_data(experiment, energy, seed, progress=False)
        held = experiments.make_validation(experiment, energy, seed, progress=False)
        for arm in given.arms:
            place = given.out / f"{arm}-{seed}"
            if not (place / "numbers.json").is_file():
                found = next(given.runs.glob(f"**/seed-{seed}/{arm}/flow.hiflow"))
                one(hf.load(found), energy, (train, held, test), seed, given, place)


def one(flow, energy, points, seed, given, place) -> None:
    """Finishes a flow, and says what it was worth before and is after."""
    train, held, _ = points
    place.mkdir(parents=True, exist_ok=True)
    before = worth(flow, energy, points, seed, given.samples)
    print(place.name, "before", short(before), flush=True)
    history, began = Printed(), time.perf_counter()
    better = hf.finish(
        flow, train, validation=held, key=jax.random.key(seed), steps=given.steps,
        batch_size=given.batch, learning_rate=optax.cosine_decay_schedule(given.rate, given.steps),
        validate_at=given.every, patience=6, estimator=given.estimator, energy=energy,
        solver_settings={"method": "Tsit5", "steps": given.solver_steps}, history=history,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    better.save(place / "flow.hiflow")
    after = worth(better, energy, points, seed, given.samples)
    numbers = {
        "before": before,
        "seconds": seconds,
        "history": history.rows,
        "after": after,
        "settings": {key: str(value) for key, value in vars(given).items()},
    }
    write_json(place / "numbers.json", numbers, indent=1)
    print(place.name, "after", short(after), flush=True)


class Printed(hf.History):
    """A history whose rows are printed as they come."""

    def add(self, row) -> None:
        super().add(row)
        print(row, flush=True)


def worth(flow, energy, points, seed: int, size: int) -> dict:
    """Test NLL, as it is and controlled by the energy, of every point; NFE; and the effective sample
    size of weighted samples, as a share, with what says if it holds."""
    train, _, test = points
    at = jax.vmap(energy)
    scores, stats = flow.log_prob_and_stats(test)
    nll = -np.asarray(scores, np.float64)
    controlled = nll - (np.asarray(at(test)) - float(np.mean(np.asarray(at(train), np.float64))))
    found = hf.metrics.importance_sample(flow, energy, key=jax.random.key(seed + 100), size=size)
    return {
        "nll": float(nll.mean()),
        "controlled": float(controlled.mean()),
        "se": float(controlled.std(ddof=1) / len(controlled) ** 0.5),
        "nfe": float(np.mean(np.asarray(stats.nfe))),
        "ess": float(found.ess),
        "pareto_k": float(np.asarray(found.pareto_k)),
        "of_points": nll.tolist(),
    }


def short(numbers: dict) -> dict:
    """Without the numbers of single points."""
    return {key: value for key, value in numbers.items() if key != "of_points"}


if __name__ == "__main__":
    main()
