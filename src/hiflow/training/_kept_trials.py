"""What trials have found so far, in a file that a later process goes on from."""

import os
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from hiflow import _processes
from hiflow._disk import DamagedFile, read_json, write_json

_NAME = "trials.json"


class KeptTrials:
    """NLLs by the names of their trials.

    **Arguments:**

    - `folder`: where they are kept; `None` keeps them in memory alone.
    - `asked`: what they depend on, in short. By another one they are forgotten.

    **Raises:** `ValueError` for a file in the folder's place.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, asked: str = ""):
        self._folder = None if folder is None else Path(folder)
        if self._folder is not None and self._folder.exists() and not self._folder.is_dir():
            raise ValueError(f"`folder` must be a folder, and {str(folder)!r} is a file.")
        self._asked = asked
        self._found: dict[str, list[float]] = _processes.leader_first(self._read)

    def get(self, name: str) -> np.ndarray | None:
        """What a trial found, if it is kept."""
        found = self._found.get(name)
        return None if found is None else np.asarray(found, np.float64)

    def keep(self, name: str, nll: np.ndarray) -> None:
        """Keep what a trial found."""
        self._found[name] = nll.tolist()
        if self._folder is not None:
            _processes.by_leader(partial(self._write, self._folder))

    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / _NAME, {"asked": self._asked, "nll": self._found}, indent=None)

    def _read(self) -> dict[str, list[float]]:
        if self._folder is None or not (file := self._folder / _NAME).is_file():
            return {}
        try:
            found = read_json(file, "The trials are made anew.")
        except DamagedFile as error:
            warnings.warn(str(error), stacklevel=2)
            return {}
        nll = found.get("nll") if found.get("asked") == self._asked else None
        given = nll.items() if isinstance(nll, Mapping) else ()
        return {name: each for name, each in given if _are_numbers(each)}


def _are_numbers(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(each, float) for each in found)
