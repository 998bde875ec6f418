"""Run folders: what an experiment leaves on disk, and what is read from there."""

import dataclasses
import json
import os
import platform
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.console import Console

from hiflow import data
from hiflow._disk import (
    DamagedFile,
    fingerprint,
    kept,
    parse_json,
    read_arrays,
    read_json,
    read_text,
    write_arrays,
    write_json,
    write_text,
)
from hiflow.experiments._toml import Experiment, read, slug
from hiflow.flow import load
from hiflow.metrics import standard_error

# Of a history or a table: numbers and words by name.
Row = dict[str, Any]

IMAGES = 24
_PACKAGES = ["hiflow-jax", "jax", "jaxlib", "equinox", "diffrax", "optax", "lineax", "numpy"]


class RunFolder:
    """`<root>/config.toml`, `run.json`, the run's own comparison, and for every seed and arm
    `seed-<k>/<arm>/` with `flow.hiflow`, `history.jsonl` and checkpoints."""

    def __init__(self, root: str | os.PathLike[str]):
        self.root = Path(root)

    def arm(self, seed: int, label: str) -> Path:
        """The folder of one arm and seed."""
        return self.root / f"seed-{seed}" / slug(label)

    def energies(self, seed: int) -> Path:
        """Where energies that were fitted to a seed's data are."""
        return self.root / f"seed-{seed}" / "energies"

    def flows(self) -> dict[tuple[str, int], Path]:
        """The trained flows: (label, seed) to file.

        **Raises:** `ValueError` if the folder is no run or holds no finished arm.
        """
        run = self._run()
        files = {
            (label, seed): self.arm(seed, label) / "flow.hiflow"
            for label in run["arms"]
            for seed in run["seeds"]
        }
        finished = {key: path for key, path in files.items() if path.is_file()}
        if not finished:
            raise ValueError(f"{self.root}: no arm has finished training; resume it first.")
        return finished

    def describe_data(self, seed: int, points: Array, test: Array) -> None:
        """Keep what tells one data set from another, so that only like is compared with like.

        **Raises:** `ValueError` if arms of that seed were scored on other test points.
        """
        described = {
            "size": points.shape[0],
            "test": test.shape[0],
            "test_points": fingerprint(points=test).digest,
        }
        file = self.root / f"seed-{seed}" / "data.json"
        cure = f"Remove it; then {resuming(self.root)} writes it anew."
        before = read_json(file, cure) if file.exists() else {}
        if before.get("test_points", described["test_points"]) != described["test_points"]:
            raise ValueError(
                f"{file.parent}: the test points are others than before (another version of hiflow or "
                "JAX, another machine, or a changed file); train into another folder by --out."
            )
        file.parent.mkdir(exist_ok=True)
        write_json(file, described)

    def experiment(self) -> Experiment:
        """The experiment as it was configured."""
        if not (self.root / "config.toml").is_file():
            raise ValueError(f"{self.root}: not a run folder (it has no config.toml).")
        experiment = read(self.root / "config.toml")
        return dataclasses.replace(experiment, name=self._run()["name"])

    def _run(self) -> dict[str, Any]:
        """What `run.json` says: `name`, `arms` and `seeds`."""
        file = self.root / "run.json"
        if not file.exists():
            raise ValueError(f"{self.root}: not a run folder (it has no run.json).")
        cure = f"{resuming(self.root)} writes it anew."
        run = read_json(file, cure)
        kinds = {"arms": str, "seeds": int}
        whole = isinstance(run.get("name"), str) and all(
            isinstance(run.get(name), list) and all(type(each) is kind for each in run[name])
            for name, kind in kinds.items()
        )
        if not whole:
            raise DamagedFile(f"{file}: damaged, lacks a name, `arms` or `seeds`. {cure}")
        return run

    def _before(self, experiment: Experiment) -> dict[str, Any]:
        """What `run.json` says, or, if it is damaged, what can be seen in the folder."""
        if not (self.root / "run.json").exists():
            return {}
        try:
            return self._run()
        except DamagedFile as error:
            warnings.warn(f"{error} It is written anew.", stacklevel=4)
        places = [place.name.removeprefix("seed-") for place in self.root.glob("seed-*")]
        return {"name": experiment.name, "seeds": [int(seed) for seed in places if seed.isdigit()]}

    def claim(self, experiment: Experiment, seeds: Sequence[int], *, resume: bool) -> None:
        """Make the folder and write what is run, or refuse one that is there. Seeds that it has already
        stay.

        **Raises:** `ValueError` if the folder exists and `resume` is off, or holds another run.
        """
        run = self.root / "run.json"
        before = self._before(experiment) if resume else {}
        description = {
            "name": before.get("name", experiment.name),
            "seeds": sorted({*before.get("seeds", ()), *seeds}),
            "arms": [arm["label"] for arm in experiment.arms],
            "versions": {package: version(package) for package in _PACKAGES},
            "python": platform.python_version(),
            "devices": [f"{device.platform}:{device.device_kind}" for device in jax.devices()],
        }
        if self.root.exists() and any(self.root.iterdir()):
            if not resume:
                raise ValueError(
                    f"{self.root} exists. Go on with it by --resume, choose another folder by --out, or "
                    "remove it."
                )
            if not self._holds(experiment):
                raise ValueError(f"{self.root} holds a run of another configuration; use --out.")
        self.root.mkdir(parents=True, exist_ok=True)
        write_text(self.root / "config.toml", experiment.text)
        write_json(run, description)

    def _holds(self, experiment: Experiment) -> bool:
        """Whether the folder's configuration is that of the experiment."""
        file = self.root / "config.toml"
        if not file.exists():
            return False
        cure = "Restore it from a copy, or train into another folder by --out."
        return read_text(file, cure) == experiment.text


@dataclasses.dataclass(frozen=True)
class Record:
    """The history of one arm and seed, on disk and on the console.

    **Arguments:**

    - `place`: the arm's folder.
    - `test`: the test points.
    - `pixels`: how they came of pixels, if they are images: then bits per dimension are recorded too.
    """

    place: Path
    test: Array
    pixels: data.PixelTransform | None
    console: Console

    @property
    def rows(self) -> list[Row]:
        """What was recorded so far and can be read."""
        return _rows(self.place / "history.jsonl")[0]

    def ends(self, step: int) -> bool:
        """Whether the last row is that of this step, with the scores of all test points."""
        rows = self.rows
        scores = rows[-1].get("log_prob") if rows and rows[-1]["step"] == step else None
        return isinstance(scores, list) and len(scores) == len(self.test)

    def __call__(self, row: Row) -> None:
        """Add a row."""
        if self.pixels is not None:
            row = row | bits_per_dim(self.pixels, row["log_prob"], self.test)
        # A resumed run repeats the rows after its checkpoint: the later one counts.
        rows = [*(old for old in self.rows if old["step"] < row["step"]), row]
        text = "".join(json.dumps(entry) + "\n" for entry in rows)
        write_text(self.place / "history.jsonl", text)
        probes = f" (probes {row['probe_se']:.3f})" if row["probe_se"] > 0 else ""
        bits = f"  {row['bits']:.3f} ± {row['bits_se']:.3f} bits/dim" if "bits" in row else ""
        self.console.print(
            f"  step {row['step']:>6,}  loss {row['loss']:.4f}  NLL {row['nll']:.3f} ± "
            f"{row['nll_se']:.3f}{probes} nats{bits}  NFE {row['nfe']:.1f}  ({row['seconds']:.0f} s of "
            "training)"
        )


def bits_per_dim(
    pixels: data.PixelTransform, log_prob: Sequence[float], points: Array
) -> dict[str, float]:
    """The same likelihoods as bits per dimension of the pixels, mean and standard error."""
    bits = jax.vmap(pixels.bits_per_dim)(jnp.asarray(log_prob), points)
    return {"bits": float(bits.mean()), "bits_se": standard_error(bits)}


def flow_files(run: str | os.PathLike[str]) -> dict[tuple[str, int], Path]:
    """The flows of a run folder, or the one file given: (label, seed) to file."""
    path = Path(run)
    return {(path.stem, 0): path} if path.is_file() else RunFolder(path).flows()


def read_history(place: Path) -> list[Row]:
    """The rows of one arm's history.

    **Raises:** `DamagedFile` if there are lines that aren't rows.
    """
    path = place / "history.jsonl"
    rows, wrong = _rows(path)
    if wrong is not None:
        raise DamagedFile(
            f"{path}: damaged: {wrong}. {resuming(place.parents[1])} scores the flow anew."
        )
    return rows


def resuming(root: Path) -> str:
    """The command that goes on with a run folder."""
    return f"`hiflow train {root / 'config.toml'} --out {root} --resume`"


def _rows(path: Path) -> tuple[list[Row], str | None]:
    """The rows that can be read, and what is wrong with the first line that can't."""
    if not path.exists():
        return [], None
    try:
        lines = read_text(path, "").splitlines()
    except DamagedFile as error:
        return [], str(error)
    rows, wrong = [], None
    for number, line in enumerate(lines, 1):
        try:
            row = parse_json(line)
            if not isinstance(row, dict) or not isinstance(row.get("step"), int):
                raise ValueError("no row with a `step`")
            rows.append(row)
        except ValueError as error:
            wrong = wrong or f"line {number}: {error}"
    return rows, wrong


def image_samples(place: Path, seed: int) -> Array:
    """Some samples of the flow of images in an arm's folder, drawn once and kept there."""
    path = place / f"images-{IMAGES}.npz"

    def draw() -> None:
        x = load(place / "flow.hiflow").sample(jax.random.key(seed), IMAGES)
        write_arrays(path, {"x": np.asarray(x)})

    return jnp.asarray(kept(path, draw, lambda: read_arrays(path)["x"]))
