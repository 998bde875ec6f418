"""A finished run's own comparison, read again: where nothing has changed, nothing is computed."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hiflow._disk import open_file, read_json, write_json
from hiflow.experiments._run_folder import Row, RunFolder
from hiflow.experiments._toml import Experiment

_NAME = "finished.json"
# Without Matplotlib a comparison has no figures.
_PACKAGES = ("hiflow-jax", "matplotlib")


@dataclasses.dataclass(frozen=True)
class Finished:
    """What a run's comparison came to, as its folder has it."""

    caption: str
    table: Sequence[Row]
    files: Sequence[Path]
    """Those that the comparison was written into."""
    classes: Sequence[Row] = ()
    untold: Sequence[Row] = ()

    def rows(self) -> Sequence[Row]:
        """One row per arm."""
        return self.table

    def failed_rows(self) -> Sequence[Row]:
        """None: a run in which arms have failed isn't finished."""
        return ()

    def class_rows(self) -> Sequence[Row]:
        """One row per arm and class."""
        return self.classes

    def untold_rows(self) -> Sequence[Row]:
        """One row per arm, if any is told a class, without being told it."""
        return self.untold


def remember(root: str | os.PathLike[str], files: Iterable[Path]) -> None:
    """Keep in a run folder what its own comparison, written into `files`, was made of."""
    folder = RunFolder(root)
    written = {path.name: _hash(path) for path in files}
    made_of = _made_of(folder, folder.experiment(), list(folder.flows().values()))
    write_json(folder.root / _NAME, {"made_of": made_of, "files": written})


def finished(
    experiment: Experiment, root: str | os.PathLike[str], *, seeds: Sequence[int] | None = None
) -> Finished | None:
    """The comparison of a run folder, if every arm of `seeds` has been trained and nothing that the
    comparison was made of has changed since, else `None`. Imports no JAX.

    What counts is what the folder holds, the files that the configuration names, and the versions of
    hiflow and Matplotlib.
    """
    folder = RunFolder(root)
    try:
        kept = read_json(folder.root / _NAME, "")
        flows = folder.flows()
        wanted = {
            (arm["label"], seed)
            for arm in experiment.arms
            for seed in (experiment.seeds if seeds is None else seeds)
        }
        files = {folder.root / name: digest for name, digest in kept["files"].items()}
        config = folder.root / "config.toml"
        if (
            config.read_text(encoding="utf-8") != experiment.text
            or not wanted <= set(flows)
            or any(_hash(path) != digest for path, digest in files.items())
            or _made_of(folder, experiment, list(flows.values())) != kept["made_of"]
        ):
            return None
        numbers = read_json(folder.root / "comparison.json", "")
        told = numbers["classes"], numbers["untold"]
        return Finished(numbers["caption"], numbers["rows"], list(files), *told)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None  # Whoever computes it anew says what is wrong.


def _made_of(folder: RunFolder, experiment: Experiment, flows: list[Path]) -> dict[str, str]:
    """What a run's comparison depends on: names to versions and to hashes of files' contents."""
    files = [folder.root / "config.toml", *flows]
    for flow in flows:
        files += [flow.parent / "history.jsonl", flow.parents[1] / "data.json"]
        files += flow.parent.glob("choice.json")
    found = {path.relative_to(folder.root).as_posix(): _hash(path) for path in files}
    named = {f"[{name}]": _hash(Path(name)) for name in _named_files(experiment.tables)}
    return found | named | {package: _version(package) for package in _PACKAGES}


def _named_files(tables: Any) -> Iterator[str]:
    """The files that a configuration names, as `file`, `test_file` or `topology`, alone or in a list."""
    if isinstance(tables, Mapping):
        for key, value in tables.items():
            if key in ("file", "topology") or key.endswith("_file"):
                yield from [value] if isinstance(value, str) else value
            else:
                yield from _named_files(value)
    elif isinstance(tables, list):
        for value in tables:
            yield from _named_files(value)


def _hash(path: Path) -> str:
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
