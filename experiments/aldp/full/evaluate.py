"""Likelihoods and samples of the cells' flows: `python evaluate.py RUNS packed.npz --steps 36`.

Reads RUNS/<cell>/flow.hiflow and what else is there. First the test frames of every cell, then weighted
samples of every cell, then samples without densities, in batches; each batch is on disk before the next
is begun, so that a run may be cut off and goes on where it was. What was computed with another number
of the solver's steps is replaced.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cell_files import note, numbers, replace, samples, shuffled, split

import hiflow as hf

STEPS = 36
Energies = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="a folder of cells")
    parser.add_argument("data", help="as made by pack.py")
    parser.add_argument("--out", type=Path, help="a folder for results, if not beside the flows")
    parser.add_argument("--cells", nargs="+", help="these, in this order (default: all there are)")
    for name, default, what in [
        ("steps", STEPS, "of the solver"),
        ("tests", 400, "test frames"),
        ("samples", 1_000, "weighted samples, rounded up to whole batches"),
        ("plain", 4_000, "samples without densities"),
        ("at-once", 200, "points in a batch"),
    ]:
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{what} ({default})")
    parser.add_argument("--until", type=float, default=np.inf, help="seconds from the start")
    given = parser.parse_args()
    if min(given.steps, given.at_once) < 1:
        parser.error("--steps and --at-once must be at least 1")
    clock = Clock(given.until)
    cells = opened(given.runs, given.out or given.runs, given.cells, given.steps, given.at_once)
    test, value = shuffled(split(given.data)["test"]), energies()
    print(jax.devices()[0].device_kind, [cell.place.name for cell in cells], flush=True)
    for cell in cells:
        score(cell, test[: given.tests], clock)
    for cell in cells:
        weigh(cell, given.samples, value, clock)
    for cell in cells:
        draw(cell, given.plain, value, clock)
    print("ended after", round(clock.passed()), "s", flush=True)


@dataclass
class Clock:
    """How long there is."""

    seconds: float
    begun: float = field(default_factory=time.time)
    took: dict[str, float] = field(default_factory=dict)

    def passed(self) -> float:
        return time.time() - self.begun

    def lets(self, what: str) -> bool:
        """Whether there is time for another batch that takes as long as the last of its kind."""
        return self.passed() + self.took.get(what, 0.0) < self.seconds

    def timed(self, what: str, run: Callable):
        """What `run` returns, ready; how long it took is kept."""
        begun = time.time()
        found = jax.block_until_ready(run())
        self.took[what] = time.time() - begun
        return found


@dataclass
class Cell:
    """A flow, the folder for its results, and how it is solved."""

    flow: hf.Flow
    place: Path
    steps: int
    at_once: int

    def so_far(self) -> dict[str, np.ndarray]:
        """Its samples of this number of steps."""
        found = samples(self.place)
        return found if found.get("solver_steps") == self.steps else {}

    def keep(self, **more: np.ndarray) -> None:
        parts: dict[str, Any] = self.so_far() | more | {"solver_steps": np.asarray(self.steps)}
        replace(self.place / "samples.npz", lambda file: np.savez(file, **parts))


def opened(runs: Path, out: Path, names: list[str] | None, steps: int, at_once: int) -> list[Cell]:
    """The cells, their numbers copied to where the results are."""
    names = names or sorted(file.parent.name for file in runs.glob("*/flow.hiflow"))
    if missing := [name for name in names if not (runs / name / "flow.hiflow").exists()]:
        raise SystemExit(f"no flow.hiflow in {runs} for {', '.join(missing)}")
    if not names:
        raise SystemExit(f"{runs}: no folder in it has a flow.hiflow")
    cells = []
    for name in names:
        (out / name).mkdir(parents=True, exist_ok=True)
        if not numbers(out / name):
            note(out / name, **numbers(runs / name))
        cells.append(Cell(hf.load(runs / name / "flow.hiflow"), out / name, steps, at_once))
    return cells


def energies() -> Energies:
    """In kT, of a batch of frames in Å."""
    from hiflow_openmm import OpenMMEnergy

    value = jax.jit(jax.vmap(OpenMMEnergy.preset("aldp", temperature=300.0, reflections=False)))
    return lambda x: np.asarray(value(jnp.asarray(x)))


def score(cell: Cell, frames: np.ndarray, clock: Clock) -> None:
    """Log densities of frames, in nats."""
    before = numbers(cell.place)
    mine = before.get("solver_steps") == cell.steps
    found = list(before.get("test_log_prob", [])) if mine else []
    while len(found) < len(frames) and clock.lets("score"):
        batch = frames[len(found) : len(found) + cell.at_once]
        # The last batch has the shape of the others, so that nothing is compiled for it.
        padded = np.resize(batch, (cell.at_once, *batch.shape[1:]))
        log_prob = clock.timed(
            "score",
            lambda padded=padded: cell.flow.log_prob(
                jnp.asarray(padded), steps=cell.steps, chunk_size=cell.at_once
            ),
        )
        found += np.asarray(log_prob)[: len(batch)].tolist()
        note(cell.place, test_log_prob=found, solver_steps=cell.steps)
        print(cell.place.name, "NLL", -np.mean(found), "of", len(found), flush=True)


def weigh(cell: Cell, wanted: int, value: Energies, clock: Clock) -> None:
    """Samples with log densities in nats and energies in kT, in `x`, `log_prob` and `energies`."""
    names = ("x", "log_prob", "energies")
    held = cell.so_far()
    parts = [held[name] for name in names] if "x" in held else []
    while (size := len(parts[0]) if parts else 0) < wanted and clock.lets("weigh"):
        key = jax.random.fold_in(jax.random.key(8), size)
        x, log_prob = clock.timed(
            "weigh",
            lambda key=key: cell.flow.sample_and_log_prob(
                key, cell.at_once, steps=cell.steps, chunk_size=cell.at_once
            ),
        )
        more = [np.asarray(x), np.asarray(log_prob), value(np.asarray(x))]
        parts = [np.concatenate(pair) for pair in zip(parts, more, strict=True)] if parts else more
        cell.keep(**dict(zip(names, parts, strict=True)))
        note(cell.place, sampled=len(parts[0]))
        print(cell.place.name, "weighted samples", len(parts[0]), flush=True)


def draw(cell: Cell, wanted: int, value: Energies, clock: Clock) -> None:
    """Samples and their energies in kT, in `plain` and `plain_energies`."""
    if len(cell.so_far().get("plain", ())) >= wanted or not clock.lets("draw"):
        return
    x = clock.timed(
        "draw",
        lambda: cell.flow.sample(
            jax.random.key(7), wanted, steps=cell.steps, chunk_size=min(1_000, wanted)
        ),
    )
    cell.keep(plain=np.asarray(x), plain_energies=value(np.asarray(x)))
    print(cell.place.name, "samples", wanted, flush=True)


if __name__ == "__main__":
    main()
