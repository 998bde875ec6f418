"""One arm at one or a few sizes of training set: trains until a time of day, then samples until another.

`run.py` starts one process for each. What is written is whole at any moment: `flow.hiflow`,
`numbers.json`, and `samples.npz` with as many samples as there was time for.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import evaluate
import jax
import jax.numpy as jnp
import numpy as np
from cell_files import note, shuffled, split, spread

import hiflow as hf
from hiflow.groups import Product, Rotation, Translation
from hiflow_openmm import OpenMMEnergy

# An evaluation takes as many points at a time as a validation, so that programs are shared.
AT_ONCE = 64
ALIGNED = {
    "name": "symmetry-aligned",
    "group": Product((Rotation(3, reflections=False), Translation())),
}
RELAXED = {
    "name": "relaxed",
    "hessian": {"name": "dense"},
    "curvature": {"name": "absolute", "shift": 30.0},
    "step": 0.5,
    "noise": "own",
}
BRIDGE = {
    "coupling": {
        "name": "jittered",
        "inner": hf.couplings.SymmetryAligned(ALIGNED["group"]),
        "width": 0.1,
    },
    "target": "force",
}
# A path, and fields of `Training`.
ARMS = {
    "ot": ("optimal-transport", {"coupling": ALIGNED}),
    "force": ({"name": "bridge", "width": 0.1}, BRIDGE),
    "relaxed": (RELAXED, {"coupling": ALIGNED}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="as made by pack.py")
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("--frames", type=int, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-until", type=float, required=True, help="seconds since 1970")
    parser.add_argument("--until", type=float, required=True)
    for name, default in [
        ("seed", 0),
        ("width", 64),
        ("depth", 4),
        ("batch", 256),
        ("samples", 10_000),
        ("plain", 4_000),
        ("solver-steps", evaluate.STEPS),
    ]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--times", default="late")
    given = parser.parse_args()
    energy = OpenMMEnergy.preset("aldp", temperature=300.0, reflections=False)
    data = split(given.data)
    made = []
    for k, frames in enumerate(given.frames):
        left = given.train_until - time.time()
        ends = time.time() + left / 2 if k < len(given.frames) - 1 else given.train_until
        made.append(trained(given, energy, data, frames, ends))
    value = evaluate.energies()
    for k, (out, flow) in enumerate(made):
        clock = evaluate.Clock((given.until - time.time()) / (len(made) - k))
        evaluated(given, value, data, out, flow, clock)


class ByClock:
    """A learning rate: 200 steps of rise, then constant to a third of the time, then down to 1 %."""

    def __init__(self, peak: float, ends: float):
        self.peak, self.ends, self.begun = peak, ends, None

    def __call__(self, step: jax.Array) -> jax.Array:
        return jax.pure_callback(self._now, jax.ShapeDtypeStruct((), jnp.float32), step)

    def _now(self, step: np.ndarray) -> np.ndarray:
        now = time.time()
        # The first steps are compiled before they are made.
        if self.begun is None and step > 0:
            self.begun = now
        begun = now if self.begun is None else self.begun
        part = (now - begun) / max(self.ends - begun, 1e-3)
        fall = np.clip(1 - (part - 1 / 3) * 1.5, 0.01, 1.0)
        return np.asarray(self.peak * fall * min(1.0, (int(step) + 1) / 200), np.float32)


class Watch:
    """Ends a run by the clock, keeps the flow on disk and the one with the best validation."""

    def __init__(self, out: Path, ends: float):
        self.out, self.ends, self.saved = out, ends, time.time()
        self.best, self.flow = np.inf, None

    def see(self, moment: hf.callbacks.Moment) -> None:
        row = moment.row
        if "nll" in row and row["nll"] < self.best:
            self.best, self.flow = row["nll"], moment.flow
        if time.time() > self.saved + 45:
            moment.flow.save(self.out / "flow.hiflow")
            self.saved = time.time()
            print(self.out.name, {k: v for k, v in row.items() if k != "log_prob"}, flush=True)
        if time.time() > self.ends:
            raise hf.callbacks.Stop("time")


def trained(given, energy, data, frames, ends):
    """A cell's folder, and the flow at its best validation."""
    points = spread(data["train"], frames)
    path, settings = ARMS[given.arm]
    if given.arm == "relaxed":
        points = spread(points, affordable(energy, points, 0.2 * (ends - time.time())))
    out = given.out / f"{given.arm}-{len(points)}-{given.seed}"
    out.mkdir(parents=True, exist_ok=True)
    network = hf.networks.EGNN(
        22, 3, given.width, given.depth, length=1.5, species=range(22), bonds=energy.bonds,
        reflections=False, key=jax.random.key(given.seed),
    )  # fmt: skip
    watch, history, begun = Watch(out, ends), hf.History(), time.time()
    flow = hf.fit(
        network, path, points, prior=hf.priors.CentredNormal(22, 3, scale=1.6), energy=energy,
        key=jax.random.key(100 + given.seed), validation=spread(data["validation"], AT_ONCE),
        steps=2_000_000, batch_size=given.batch, learning_rate=ByClock(given.rate, ends), ema=0.999,
        time_sampler=given.times, validate_at=500 if frames < 5_000 else 2_500,
        solver_settings={"steps": given.solver_steps, "chunk_size": AT_ONCE}, callbacks=[watch],
        history=history, progress=False, **settings,
    )  # fmt: skip
    last = hf.metrics.negative_log_likelihood(
        flow, jnp.asarray(spread(data["validation"], AT_ONCE))
    ).nll
    flow = flow if last <= watch.best else watch.flow
    assert flow is not None
    flow.save(out / "flow.hiflow")
    # Of a flow that was here before.
    (out / "samples.npz").unlink(missing_ok=True)
    rows = [{k: v for k, v in row.items() if k != "log_prob"} for row in history.rows]
    note(
        out, arm=given.arm, frames=len(points), seed=given.seed, width=given.width, depth=given.depth,
        batch=given.batch, times=given.times, validation_solver_steps=given.solver_steps,
        test_log_prob=[], steps=rows[-1]["step"], seconds=time.time() - begun,
        seconds_of_steps=rows[-1]["seconds"], validation=min(last, watch.best), validation_last=last,
        history=[row for row in rows if "nll" in row] + rows[:: max(1, len(rows) // 100)],
        device=jax.devices()[0].device_kind, jax=jax.__version__,
    )  # fmt: skip
    return out, flow


def affordable(energy, points, seconds):
    """How many anchors can be made in that time."""
    path = hf.paths.registry.make(RELAXED, energy=energy)
    size, taken = min(512, len(points)), 1.0
    for _ in range(2):  # The first compiles.
        begun = time.time()
        jax.block_until_ready(hf.paths.make_anchors(path, jnp.asarray(points[:size])))
        taken = time.time() - begun
    return min(len(points), max(100, int(size * seconds / taken)))


def evaluated(given, value, data, out, flow, clock):
    """NLL of test frames, samples without densities, then weighted ones until the time is over."""
    cell = evaluate.Cell(flow, out, given.solver_steps, AT_ONCE)
    evaluate.score(cell, shuffled(data["test"])[:512], clock)
    evaluate.draw(cell, given.plain, value, clock)
    larger = replace(cell, at_once=4 * AT_ONCE)
    # Of few frames no flow has weights to speak of.
    wanted = given.samples if max(given.frames) > 5_000 else 3 * larger.at_once
    evaluate.weigh(larger, wanted, value, clock)


if __name__ == "__main__":
    main()
