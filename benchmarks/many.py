"""Several seeds one after the other by `fit`, against all at once by `fit_many`.

    python benchmarks/many.py                            # on a GPU where there is one
    python benchmarks/many.py --quick --only ring        # a try
    python benchmarks/many.py --seeds 1 3 5 --out many.json

Both train the same flows from the same keys. Printed are *training*, of programs that are compiled
already, as a ratio of rounds in turns, each by its history's own seconds; the *whole call*, the first
with all that it compiles, one of each, after a small run has compiled what both share; and how far
apart the weights of the two are at most.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _timing import machine, ratio, spread

import hiflow as hf
from hiflow._disk import write_json

KEY = jax.random.key(0)
# Times don't depend on the points' values; prior samples will do.
POINTS = 2_000


def ring(steps):
    energy, prior = hf.energies.Ring(), hf.priors.Normal(2)
    path = hf.paths.Langevin(energy, curvature="absolute")
    network = {"name": "mlp", "width": 64, "depth": 3}
    return network, path, prior, {"steps": steps, "batch_size": 128}


def dw4(steps):
    prior = hf.priors.CentredNormal(particles=4, dim=2)
    network = {"name": "egnn", "width": 32, "depth": 3}
    return network, hf.paths.OptimalTransport(), prior, {"steps": steps, "batch_size": 128}


def lj13(steps):
    prior = hf.priors.CentredNormal(particles=13, dim=3)
    network = {"name": "egnn", "width": 32, "depth": 3}
    return network, hf.paths.OptimalTransport(), prior, {"steps": steps, "batch_size": 64}


PROBLEMS = {"ring": ring, "dw4": dw4, "lj13": lj13}


def runs(problem, seeds, steps):
    """Both ways, each of which trains all flows and returns them with the seconds of its steps."""
    network, path, prior, settings = PROBLEMS[problem](steps)
    points = jax.vmap(prior.sample)(jax.random.split(KEY, POINTS))
    keys = jax.random.split(jax.random.fold_in(KEY, seeds), seeds)
    given: dict[str, Any] = {"prior": prior, "progress": False, **settings}

    def one_by_one():
        histories = [hf.History() for _ in range(seeds)]
        flows = [
            hf.fit(network, path, points, key=key, history=history, **given)
            for key, history in zip(keys, histories, strict=True)
        ]
        return flows, sum(history.rows[-1]["seconds"] for history in histories)

    def together():
        histories = [hf.History() for _ in range(seeds)]
        flows = hf.fit_many(network, path, points, keys=keys, histories=histories, **given)
        return flows, histories[0].rows[-1]["seconds"]

    def small():
        less: dict[str, Any] = {**given, "steps": 1}
        hf.fit({**network, "width": 8, "depth": 1}, path, points, key=KEY, **less)

    return {"one by one": one_by_one, "together": together}, small


def compare(problem, seeds, options):
    """A row of the table."""
    ways, small = runs(problem, seeds, options.steps)
    # Other numbers of seeds have compiled the step of one flow.
    jax.clear_caches()
    small()
    calls, flows = {}, {}
    for name, run in ways.items():
        begun = time.perf_counter()
        flows[name] = run()[0]
        jax.block_until_ready(jax.tree.leaves([jax.tree.leaves(flow) for flow in flows[name]]))
        calls[name] = time.perf_counter() - begun
    steps = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, run in ways.items():
            steps[name].append(run()[1])
    apart = [_apart(a, b) for a, b in zip(*flows.values(), strict=True)]
    return {
        "problem": problem,
        "seeds": seeds,
        "steps": options.steps,
        "training_s": {name: spread(taken)._asdict() for name, taken in steps.items()},
        "training_ratio": ratio(steps["together"], steps["one by one"])._asdict(),
        "call_s": calls,
        "call_ratio": calls["together"] / calls["one by one"],
        "largest_difference_of_weights": max(apart),
    }


def _apart(one, other):
    """The largest difference of two flows' weights."""
    pairs = zip(*(jax.tree.leaves(flow.network) for flow in (one, other)), strict=True)
    return float(max(np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in pairs if a.size))


def show(row):
    """A row as it is printed."""
    spent, found = row["training_s"], row["training_ratio"]
    call = row["call_s"]
    print(
        f"| {row['problem']} | {row['seeds']} | {spent['one by one']['median']:.2f} | "
        f"{spent['together']['median']:.2f} | {found['median']:.2f} ({found['least']:.2f} to "
        f"{found['most']:.2f}) | {call['one by one']:.1f} | {call['together']:.1f} | "
        f"{row['call_ratio']:.2f} | {row['largest_difference_of_weights']:.1e} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description="fit_many against fit, as ratios.")
    parser.add_argument("--only", nargs="+", choices=PROBLEMS, default=["ring", "dw4"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[5])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few steps, one round")
    parser.add_argument("--out", type=Path, help="where the rows go as JSON")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.rounds = 100, 1
    warnings.filterwarnings("ignore", "the data don't follow")
    jax.config.update("jax_enable_compilation_cache", False)
    device = jax.devices()[0].device_kind
    print(f"{device}, {options.steps} steps, batches of 128 (lj13: 64), {options.rounds} rounds\n")
    print("| | seeds | one by one, s | together, s | training | call, s | call, s | call | apart |")
    print("| --- " * 9 + "|")
    rows = []
    for problem in options.only:
        for seeds in options.seeds:
            rows.append(compare(problem, seeds, options))
            show(rows[-1])
            if options.out is not None:
                write_json(options.out, {"device": device, **machine(), "rows": rows})


if __name__ == "__main__":
    main()
