"""Run folders: what an experiment leaves on disk, and what is read from there.

It is imported without JAX, for the errors that need none.
"""

import dataclasses
import os
import platform
import shlex
import shutil
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiflow._disk import (
    DamagedFile,
    check_new_file,
    in_use,
    read_json,
    read_text,
    write_json,
    write_text,
)
from hiflow.experiments._changes import refused_changes
from hiflow.experiments._failures import Failure, failure_in
from hiflow.experiments._toml import Experiment, read, slug

if TYPE_CHECKING:
    from hiflow.data import Samples

# Of a history or a table: numbers and words by name.
Row = dict[str, Any]

# Endings of files with samples: numbers, or frames of atoms.
DRAWN = (".npz", ".extxyz", ".xyz", ".pdb")
_PACKAGES = ["hiflow-jax", "jax", "jaxlib", "equinox", "diffrax", "optax", "lineax", "numpy"]


class RunFolder:
    """`<root>/config.toml`, `run.json`, the run's own comparison, and for every seed and arm
    `seed-<k>/<arm>/` with `flow.hiflow`, `history.jsonl` and checkpoints.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> folder = experiments.RunFolder("run")  # that `train` made
    >>> sorted(folder.flows())
    [('HI-FM (Langevin)', 0), ('OT-FM', 0), ('isotropic end law', 0)]
    >>> flow = hf.load(folder.flows()["OT-FM", 0])
    ```
    """

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

    def has_flows(self) -> bool:
        """Whether any arm of any seed has been trained."""
        return any(self.root.glob("seed-*/*/flow.hiflow"))

    def failures(self) -> list[Failure]:
        """Of the arms and seeds that have no flow because they failed."""
        run = self._run()
        places = [self.arm(seed, label) for label in run["arms"] for seed in run["seeds"]]
        return [failure for place in places if (failure := failure_in(place)) is not None]

    def describe_data(
        self,
        seed: int,
        points: "Samples",
        test: "Samples",
        origins: Sequence[int | str] | None = None,
        sizes: Iterable[int | None] = (None,),
    ) -> None:
        """Keep what tells one data set from another, so that only like is compared with like; which
        points of a file or set the test points are, where they are from one; and their classes.

        **Arguments:**

        - `sizes`: of how many training points arms see the first; `None` for all.

        **Raises:** `ValueError` if arms of that seed were trained or scored on other points.
        """
        from hiflow._disk import fingerprint

        described: dict[str, Any] = {
            "size": len(points),
            "test": len(test),
            "training_points": fingerprint(points=points.points, rows=points.condition).digest,
            "test_points": fingerprint(points=test.points).digest,
        }
        if test.condition is not None:
            described["test_conditions"] = fingerprint(rows=test.condition).digest
        if test.condition is not None and test.classes is not None:
            described |= {"classes": test.classes, "test_classes": test.condition.tolist()}
            described["class_counts"] = {
                "all" if size is None else str(size): points[:size].class_counts() for size in sizes
            }
        if origins is not None:
            described["test_origins"] = list(origins)
        file = self.root / f"seed-{seed}" / "data.json"
        cure = f"Remove it; then {resuming(self.root)} writes it anew."
        before = read_json(file, cure) if file.exists() else {}
        kept = {
            "training_points": "training points",
            "test_points": "test points",
            "test_conditions": "test points",
        }
        others = [
            words
            for name, words in kept.items()
            if before.get(name, now := described.get(name)) != now
        ]
        if others and any(file.parent.glob("*/history.jsonl")):
            raise ValueError(
                f"{file.parent}: the {others[0]} are others than before, or their conditions (another "
                "version of hiflow or JAX, another machine, or a changed file); train into another "
                "folder by --out."
            )
        file.parent.mkdir(exist_ok=True)
        write_json(file, described)

    def experiment(self) -> Experiment:
        """The experiment as it was configured."""
        if not (self.root / "config.toml").is_file():
            raise ValueError(f"{self.root}: not a run folder (it has no config.toml).")
        experiment = read(self.root / "config.toml")
        return dataclasses.replace(experiment, name=self._run()["name"])

    def about(self) -> dict[str, Any]:
        """What `run.json` says: `name`, `arms`, `seeds`, `versions`, `python` and `devices`.

        **Raises:** `ValueError` if there is none, or it is damaged.
        """
        return self._run()

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
        if not config.exists():
            raise ValueError(f"{self.root} holds a run of another configuration; use --out.")
        cure = "Restore it from a copy, or train into another folder by --out."
        if read_text(config, cure) == experiment.text:
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
        before = self._before(experiment) if resume else {}
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
        write_json(run, description)

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


def check_drawn_file(out: str | os.PathLike[str]) -> None:
    """Refuse a file that samples can't be written to, before they are drawn.

    **Raises:** `ValueError` if it exists, has another ending, or no folder to be in.
    """
    check_new_file(out, DRAWN)


def flow_files(run: str | os.PathLike[str]) -> dict[tuple[str, int], Path]:
    """The flows of a run folder, or the one file given: (label, seed) to file."""
    path = Path(run)
    return {(path.stem, 0): path} if path.is_file() else RunFolder(path).flows()


def read_history(place: Path) -> list[Row]:
    """The rows of one arm's history.

    **Raises:** `DamagedFile` if there are lines that aren't rows.
    """
    path = place / "history.jsonl"
    rows, wrong = readable_rows(path)
    if wrong is not None:
        raise DamagedFile(
            f"{path}: damaged: {wrong}. {resuming(place.parents[1])} scores the flow anew."
        )
    return rows


def resuming(root: Path) -> str:
    """The command that goes on with a run folder."""
    words = ["hiflow", "train", str(root / "config.toml"), "--out", str(root), "--resume"]
    return f"`{shlex.join(words)}`"


def readable_rows(path: Path) -> tuple[list[Row], str | None]:
    """The rows that can be read, and what is wrong with the first line that can't."""
    # Imported here because most that is refused is refused without JAX.
    from hiflow.training import History

    found, wrong = History.read(path)
    return found.rows, wrong
