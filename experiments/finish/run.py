"""Maximum likelihood after flow matching, by plain and by path gradients: NLL and ESS before and after.

    python experiments/finish/run.py 0 1    # seeds; adds to results.json, then prints the table

100 samples of the ring; OT-FM of 2,000 steps with the weights of the lowest validation NLL, and then 200
steps of either estimator with each of three learning rates, of which validation chooses.
"""

import json
import sys
from pathlib import Path

import jax

import hiflow as hf
from hiflow._disk import write_json
from hiflow.metrics import negative_log_likelihood

FILE = Path(__file__).parent / "results.json"
RATES = (1e-4, 3e-4, 1e-3)
SOLVER = {"method": "Tsit5", "steps": 12}
DRAWN = 4_096


def main(*seeds):
    """What is left of the seeds, then the table."""
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    for seed in seeds:
        rows = found.setdefault(seed, {})
        for name, row in trials(int(seed), rows):
            rows[name] = row
            write_json(FILE, found, indent=1)
            print(seed, name, row, flush=True)
    print("\n".join(table(found)))


def trials(seed, known):
    """Name to validation NLL, test NLL, ESS and the step whose weights are kept."""
    energy = hf.energies.Ring()
    keys = jax.random.split(jax.random.key(seed), 6)
    drawn = [
        hf.data.sample(energy, key=key, size=size, progress=False).points
        for key, size in zip(keys[:3], (100, 256, 256), strict=True)
    ]
    few, held, test = drawn
    network = hf.networks.MLP(2, width=64, depth=3, key=keys[3])
    flow = hf.fit(
        network, "optimal-transport", few, prior="normal", energy=energy, key=keys[4], steps=2_000,
        validation=held, validate_at=250, keep="best", solver_settings=SOLVER, progress=False,
    )  # fmt: skip

    def scores(flow, step):
        nll = [negative_log_likelihood(flow, x).nll for x in (held, test)]
        points, log_prob = flow.sample_and_log_prob(keys[5], DRAWN)
        weighted = hf.metrics.weigh(points, log_prob, energy)
        return {"validation": nll[0], "test": nll[1], "ess": weighted.ess, "step": step}

    if "before" not in known:
        yield "before", scores(flow, 0)
    for rate in RATES:
        for estimator in ("path", "plain"):
            name, history = f"{estimator} {rate:g}", hf.History()
            if name in known:
                continue
            after = hf.finish(
                flow, few, validation=held, key=keys[5], steps=200, batch_size=64, patience=10,
                learning_rate=rate, estimator=estimator, energy=energy, history=history,
            )  # fmt: skip
            step = min(history.rows, key=lambda row: row["nll"])["step"]
            yield name, scores(after, step)


def table(found):
    """A line for every seed and estimator, at the learning rate that validation chooses."""
    yield "| seed | gradient | learning rate | weights of step | validation NLL | test NLL | ESS |"
    yield "|---|---|---|---|---|---|---|"
    for seed, rows in found.items():
        for estimator in ("before", "plain", "path"):
            names = [name for name in rows if name.split()[0] == estimator]
            if not names:
                continue
            best = min(names, key=lambda name: rows[name]["validation"])
            row, rate = rows[best], best.split()[1] if " " in best else ""
            numbers = f"{row['validation']:.3f} | {row['test']:.3f} | {row['ess']:.1%}"
            yield f"| {seed} | {estimator} | {rate} | {row['step']} | {numbers} |"


if __name__ == "__main__":
    main(*sys.argv[1:])
