"""Whose a checkpoint folder is, and how far its run was to go."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hiflow._disk import DamagedFile, read_json, write_json

_STEPS = "steps"


class Claim:
    """`run.json` in a checkpoint folder: fingerprints of all that the weights depend on, and the numbers
    of steps that were asked for, each more than the one before.

    It is written with the first state, so that a run which fails before leaves no claim.

    **Arguments:**

    - `run`: the fingerprints by name, that of `steps` apart.
    - `steps`: how many are asked for now.

    **Raises:** `ValueError` if the folder holds a run and `resume` is off, another run, or a longer one.
    """

    def __init__(self, root: Path, run: Mapping[str, str], steps: int, *, resume: bool):
        self._file, self._written = root / "run.json", False
        self._run = {name: digest for name, digest in run.items() if name != _STEPS}
        ends = self._ends_before(root, resume)
        if ends and steps < ends[-1]:
            raise ValueError(
                f"fit: {root} holds a run of {ends[-1]:,} steps, which can't be made shorter. Resume "
                "with at least as many `steps`, or pass another `checkpoint_dir`."
            )
        self.ends = ends if ends and steps == ends[-1] else (*ends, steps)

    def write(self) -> None:
        """Mark the folder as this run's, if it isn't yet."""
        if not self._written:
            write_json(self._file, self._run | {"ends": list(self.ends)})
            self._written = True

    def _ends_before(self, root: Path, resume: bool) -> tuple[int, ...]:
        begun = any(path.name.isdigit() for path in (root / "steps").glob("*"))
        if not begun:
            return ()
        if not resume:
            raise ValueError(
                f"fit: {root} holds a run already. Pass resume=True to go on with it, or another "
                "`checkpoint_dir`."
            )
        if not self._file.exists():
            raise ValueError(
                f"fit: {root} holds states of a run, but not its run.json: whose they are can't be "
                "told. Restore it from a copy, or remove the folder to start anew."
            )
        cure = "Remove the folder to start anew, or restore the file from a copy."
        found: dict[str, Any] = read_json(self._file, cure)
        different = [name for name in self._run if found.get(name) != self._run[name]]
        if different:
            raise ValueError(
                f"fit: {root} holds another run, with other {', '.join(different)}. Resume with the "
                "same arguments, or pass another `checkpoint_dir`."
            )
        ends = found.get("ends")
        if not isinstance(ends, list) or not ends or any(type(end) is not int for end in ends):
            raise DamagedFile(f"{self._file}: damaged, lacks its `ends`. {cure}")
        return tuple(ends)
