"""Run folders: what an experiment leaves on disk, and what is read from there.

It is imported without JAX, for the errors that need none.
"""

import dataclasses
import json
import os
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiflow._disk import in_use, write_json, write_text
from hiflow.experiments._changes import refused_changes
from hiflow.experiments._failures import Failure, failure_in
from hiflow.experiments._toml import Experiment, read, slug

if TYPE_CHECKING:
    from jaxtyping import Array

# Of a history or a table: numbers and words by name.
Row = dict[str, Any]

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
        if not (self.root / "run.json").is_file():
            raise ValueError(f"{self.root}: not a run folder (it has no run.json).")
        run = json.loads((self.root / "run.json").read_text())
        files = {
            (label, seed): self.arm(seed, label) / "flow.hiflow"
            for label in run["arms"]
            for seed in run["seeds"]
        }
        finished = {key: path for key, path in files.items() if path.is_file()}
        if not finished:
            raise ValueError(f"{self.root}: no arm has finished training; resume it first.")
        return finished

    def has_flows(self) -> bool:
        """Whether any arm of any seed has been trained."""
        return any(self.root.glob("seed-*/*/flow.hiflow"))

    def failures(self) -> list[Failure]:
        """Of the arms and seeds that have no flow because they failed."""
        run = json.loads((self.root / "run.json").read_text(encoding="utf-8"))
        places = [self.arm(seed, label) for label in run["arms"] for seed in run["seeds"]]
        return [failure for place in places if (failure := failure_in(place)) is not None]

    def describe_data(self, seed: int, points: "Array", test: "Array") -> None:
        """Keep what tells one data set from another, so that only like is compared with like.

        **Raises:** `ValueError` if arms of that seed were scored on other test points.
        """
        from hiflow._disk import fingerprint

        described = {
            "size": points.shape[0],
            "test": test.shape[0],
            "test_points": fingerprint(points=test).digest,
        }
        file = self.root / f"seed-{seed}" / "data.json"
        before = json.loads(file.read_text()) if file.is_file() else {}
        other = before.get("test_points", described["test_points"]) != described["test_points"]
        if other and any(file.parent.glob("*/history.jsonl")):
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
        name = json.loads((self.root / "run.json").read_text())["name"]
        return dataclasses.replace(experiment, name=name)

    def refuse(self, experiment: Experiment, *, resume: bool) -> None:
        """Raise `ValueError` if the folder exists and `resume` is off, or holds another run."""
        if not self.root.exists() or (self.root.is_dir() and not in_use(self.root)):
            return
        if not resume:
            raise ValueError(
                f"{self.root} exists. Go on with it by --resume, choose another folder by --out, or "
                "remove it."
            )
        config = self.root / "config.toml"
        if not config.is_file():
            raise ValueError(f"{self.root} holds no run (it has no config.toml); use --out.")
        if config.read_text(encoding="utf-8") == experiment.text:
            return
        if refused := refused_changes(read(config), experiment, self._is_open):
            raise ValueError(
                f"{self.root} holds a run of another configuration: {'; '.join(refused)}. Arms that are "
                "trained can only be given more steps; use --out for another run."
            )

    def _is_open(self, label: str) -> bool:
        """Whether an arm may change: in every seed it failed or wasn't begun."""
        places = [place / slug(label) for place in self.root.glob("seed-*")]
        return all(
            failure_in(place) is not None
            or (
                not (place / "flow.hiflow").is_file()
                and not (place / "checkpoints/run.json").is_file()
            )
            for place in places
        )

    def claim(self, experiment: Experiment, seeds: Sequence[int], *, resume: bool) -> None:
        """Make the folder and write what is run, or refuse one that is there. Seeds that it has already
        stay.

        **Raises:** what `refuse` raises.
        """
        import jax

        self.refuse(experiment, resume=resume)
        run = self.root / "run.json"
        before = json.loads(run.read_text()) if resume and run.is_file() else {}
        description = {
            "name": before.get("name", experiment.name),
            "seeds": sorted({*before.get("seeds", ()), *seeds}),
            "arms": [arm["label"] for arm in experiment.arms],
            "versions": {package: version(package) for package in _PACKAGES},
            "python": platform.python_version(),
            "devices": [f"{device.platform}:{device.device_kind}" for device in jax.devices()],
        }
        self.root.mkdir(parents=True, exist_ok=True)
        self._sweep(experiment)
        write_text(self.root / "config.toml", experiment.text)
        write_json(self.root / "run.json", description)

    def _sweep(self, experiment: Experiment) -> None:
        """Remove what a process that was killed had begun to write, and what was made of other data."""
        for left in self.root.rglob(".*.tmp"):
            left.unlink()
        config = self.root / "config.toml"
        tables = read(config).tables if config.is_file() else experiment.tables
        if any(tables.get(name) != experiment.tables.get(name) for name in ("energy", "data")):
            for place in self.root.glob("seed-*"):
                shutil.rmtree(place / "energies", ignore_errors=True)
                (place / "data.json").unlink(missing_ok=True)


def flow_files(run: str | os.PathLike[str]) -> dict[tuple[str, int], Path]:
    """The flows of a run folder, or the one file given: (label, seed) to file."""
    path = Path(run)
    return {(path.stem, 0): path} if path.is_file() else RunFolder(path).flows()


def read_history(place: Path) -> list[Row]:
    """The rows of one arm's history."""
    path = place / "history.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
