"""DW4 at several temperatures: one flow of them all beside a flow for each. Writes results.json.

    python experiments/dw4-temperatures/run.py --out experiments/dw4-temperatures

The condition is ln kT. One temperature is in no one's training points but its own flow's.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf

KEY = jax.random.key(0)
TEMPERATURES = (0.7, 1.0, 1.4, 2.0, 2.8)
LEFT_OUT = 1.4
PRIOR = hf.priors.CentredNormal(4, 2)


def main() -> None:
    """Train, score on the same held-out samples, and write what came out."""
    parser = argparse.ArgumentParser(
        description="One flow for all temperatures beside one for each."
    )
    parser.add_argument("--out", type=Path, default=Path("runs/dw4-temperatures"))
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--train", type=int, default=100, help="samples per temperature")
    parser.add_argument("--validation", type=int, default=50)
    parser.add_argument("--test", type=int, default=400)
    args = parser.parse_args()
    data = {kT: samples(kT, args) for kT in TEMPERATURES}
    seen = [kT for kT in TEMPERATURES if kT != LEFT_OUT]
    began = time.perf_counter()
    joint = fit(args, data, seen, conditional=True)
    seconds = {"one flow": time.perf_counter() - began}
    began = time.perf_counter()
    single = {kT: fit(args, data, [kT], conditional=False) for kT in TEMPERATURES}
    seconds["a flow for each"] = time.perf_counter() - began
    rows = {}
    for kT in TEMPERATURES:
        test = data[kT]["test"]
        one = np.asarray(joint.log_prob(test, condition=np.log(kT)))
        own = np.asarray(single[kT].log_prob(test))
        rows[f"{kT:g}"] = {
            "one flow": mean_and_error(-one),
            "a flow for each": mean_and_error(-own),
            "difference": mean_and_error(own - one),
        }
        print(kT, rows[f"{kT:g}"], flush=True)
    settings = {name: value for name, value in vars(args).items() if name != "out"}
    found = {"left out of the one": LEFT_OUT, "settings": settings, "seconds": seconds, "nll": rows}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps(found, indent=1) + "\n")


def samples(kT: float, args: argparse.Namespace) -> dict[str, jax.Array]:
    """Training, validation and test points of one temperature; energies are in units of kT."""
    energy = hf.energies.DoubleWellParticles(4, 2, b=-4.0 / kT, c=0.9 / kT)
    drawn = hf.data.sample(
        energy,
        key=jax.random.fold_in(KEY, round(100 * kT)),
        size=2_000,
        chains=200,
        burn_in=1_500,
        thin=40,
        cache=False,
        progress=False,
    )
    points = jnp.asarray(drawn)
    # Of different chains: the sampler gives its rounds one after another.
    order = np.random.default_rng(0).permutation(len(points))
    ends = np.cumsum([args.train, args.validation, args.test])
    train, validation, test = (points[part] for part in np.split(order[: ends[-1]], ends[:-1]))
    return {"train": train, "validation": validation, "test": test}


def fit(args: argparse.Namespace, data: dict, temperatures: list, *, conditional: bool) -> hf.Flow:
    """A flow of some temperatures' points, by the weights of the best validation."""

    def of_all(part: str) -> tuple[jax.Array, np.ndarray]:
        points = [data[kT][part] for kT in temperatures]
        logs = np.repeat(np.log(temperatures), [len(each) for each in points])
        return jnp.concatenate(points), logs.astype(np.float32)

    (points, logs), (held_out, held_logs) = of_all("train"), of_all("validation")
    both = {"condition": logs, "validation_condition": held_logs}
    given: dict[str, Any] = both if conditional else {}
    return hf.fit(
        {"name": "egnn", "length": 2.0}, "optimal-transport", points, prior=PRIOR, key=KEY,
        validation=held_out, validate_at=args.steps // 10, keep="best", steps=args.steps,
        batch_size=64, learning_rate=2e-3, ema=0.99, progress=False, **given,
        solver_settings={"method": "Tsit5", "steps": 12},
    )  # fmt: skip


def mean_and_error(values: np.ndarray) -> list[float]:
    """The mean, and its standard error as of independent samples."""
    return [float(values.mean()), float(values.std() / np.sqrt(len(values)))]


if __name__ == "__main__":
    main()
