"""What a roboticist would look at: `python look.py RUN LONG arm-7.npz`; writes look.json and look.png.

Of 2,000 samples of each flow that validation chose, seed 0 (of 1,000 configurations in the longer run):
how many hold the end effector within 4 cm of the plane (two of the energy's `reach`), and all joints
within their limits.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

import hiflow as hf
from hiflow_robotics import SerialArm

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
SAMPLES, TOLERANCE = 2_000, 0.04
# By validation, as comparison.md says.
CHOSEN = {
    "20": {
        "OT-FM": "ot-fm", "isotropic, 1 rad": "isotropic-end-law--1-rad",
        "HI-FM, shift 1": "hi-fm--relaxed--shift-1",
    },
    "100": {
        "OT-FM": "ot-fm", "isotropic, 0.6 rad": "isotropic-end-law--0-6-rad",
        "HI-FM, shift 1": "hi-fm--relaxed--shift-1",
    },
    "1-000": {
        "OT-FM": "ot-fm", "isotropic, 0.1 rad": "isotropic-end-law--0-1-rad",
        "HI-FM, shift 30": "hi-fm--relaxed--shift-30",
    },
}  # fmt: skip


def main(run: str, long: str, file: str) -> None:
    arm = SerialArm.preset("iiwa-7")
    reference = jnp.asarray(hf.data.load(file).points)
    table: dict[str, Any] = {"reference": figures(arm, reference[:SAMPLES])}
    table["entropy, nats"], table["its error"] = entropy(arm, reference)
    drawn = {}
    for size, arms in CHOSEN.items():
        for name, place in arms.items():
            folder = Path(long if size == "1-000" else run) / "seed-0"
            flow = hf.load(folder / f"{place}--{size}-configurations" / "flow.hiflow")
            x = drawn[size, name] = flow.sample(jax.random.key(0), SAMPLES)
            table[f"{size.replace('-', ',')} configurations, {name}"] = figures(arm, x)
    table["prior"] = figures(arm, 1.5 * jax.random.normal(jax.random.key(0), (SAMPLES, 7)))
    for name, row in table.items():
        print(name, row, flush=True)
    (HERE / "look.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    draw(arm, reference, drawn)


def figures(arm: SerialArm, x: Any) -> dict[str, float]:
    assert arm.limits is not None
    close = jnp.abs(jax.vmap(arm.height)(x)) <= TOLERANCE
    inside = ((x > arm.limits[:, 0]) & (x < arm.limits[:, 1])).all(axis=1)
    return {
        "within tolerance": float(close.mean()),
        "within limits": float(inside.mean()),
        "both": float((close & inside).mean()),
    }


def entropy(arm: SerialArm, reference: Any, draws: int = 1_000_000) -> tuple[float, float]:
    """Mean energy + log Z, the least NLL that there is: log Z from points that are even over the limits
    and 0.5 rad beyond."""
    assert arm.limits is not None
    low, high = arm.limits[:, 0] - 0.5, arm.limits[:, 1] + 0.5
    x = jax.random.uniform(jax.random.key(0), (draws, 7), minval=low, maxval=high)
    values = np.exp(-np.asarray(jax.lax.map(arm, x, batch_size=50_000), np.float64))
    log_z = np.log(values.mean()) + float(jnp.sum(jnp.log(high - low)))
    mean = np.asarray(jax.vmap(arm)(reference), np.float64)
    error = np.hypot(values.std() / values.mean() / draws**0.5, mean.std() / len(mean) ** 0.5)
    return float(mean.mean() + log_z), float(error)


def draw(arm: SerialArm, reference: Any, drawn: dict) -> None:
    figure, axes = plt.subplots(
        3, 4, figsize=(11, 7.2), sharex=True, sharey=True, layout="constrained"
    )
    ends = jax.jit(jax.vmap(lambda x: arm.forward(x)[-1]))
    for row, (size, arms) in enumerate(CHOSEN.items()):
        number = int(size.replace("-", ""))
        panels = {
            f"{number:,} configurations" if number < 1e3 else "1,000 of them": reference[:number]
        }
        panels |= {name: drawn[size, name][:1_000] for name in arms}
        for axis, (name, x) in zip(axes[row], panels.items(), strict=True):
            at = np.asarray(ends(x))
            share = figures(arm, x)["both"]
            axis.axhspan(0.3 - TOLERANCE, 0.3 + TOLERANCE, color="0.85")
            axis.plot(np.hypot(at[:, 0], at[:, 1]), at[:, 2], ".", markersize=2.5, color="#0072b2")
            axis.set(title=f"{name}: {share:.0%}", xlim=(0, 1), ylim=(-0.6, 1.3), aspect="equal")
        axes[row, 0].set_ylabel("height, m")
    for axis in axes[-1]:
        axis.set_xlabel("from the base's axis, m")
    figure.savefig(HERE / "look.png", dpi=100)


if __name__ == "__main__":
    main(*sys.argv[1:])
