"""Training state on disk, by Orbax: atomic, and refused where it belongs to another run."""

import logging
import os
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np

from hiflow._disk import read_json, write_json
from hiflow._processes import by_leader
from hiflow.training._step import State

T = TypeVar("T")


class Checkpoints:
    """The checkpoints of one run; does nothing if `directory` is `None`.

    **Raises:** `ValueError` if the directory holds a run and `resume` is off, or another run.
    """

    def __init__(self, directory: str | os.PathLike[str] | None, run: dict[str, str], resume: bool):
        self._manager: Any = None
        if directory is None:
            if resume:
                raise ValueError("fit: `resume` needs `checkpoint_dir`, where to resume from.")
            return
        root = Path(directory).absolute()
        by_leader(lambda: _claim(root, run, resume))
        # Imported here because it takes two seconds that most sessions don't need to spend.
        import orbax.checkpoint as ocp

        logging.getLogger("absl").setLevel(logging.ERROR)
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._ocp = ocp
        self._manager = ocp.CheckpointManager(root / "steps", options=options)

    def restore(self, state: T) -> tuple[T, float]:
        """The newest state and the seconds trained so far, or what was given and 0."""
        if self._manager is None or (step := self._manager.latest_step()) is None:
            return state, 0.0
        arrays, static = eqx.partition(state, eqx.is_array)
        leaves, structure = jax.tree.flatten(arrays)
        like = {"leaves": leaves, "seconds": np.zeros((), np.float32)}
        try:
            saved = self._manager.restore(step, args=self._ocp.args.StandardRestore(like))
        except Exception as error:
            raise ValueError(
                f"the checkpoint of step {step} in {self._manager.directory} can't be read: "
                f"{type(error).__name__}: {str(error)[:300]}. Delete its folder to resume from the one "
                "before, or start the run anew."
            ) from error
        restored = jax.tree.unflatten(structure, saved["leaves"])
        return eqx.combine(restored, static), float(saved["seconds"])

    def save(self, state: State, seconds: float) -> None:
        """Write the state under its step, atomically; the newest two are kept."""
        if self._manager is None:
            return
        leaves = jax.tree.leaves(eqx.filter(state, eqx.is_array))
        tree = {"leaves": leaves, "seconds": np.asarray(seconds, np.float32)}
        step = int(state.step)
        if self._manager.latest_step() != step:
            self._manager.save(step, args=self._ocp.args.StandardSave(tree))

    @property
    def way_on(self) -> str:
        """How to go on from the newest state."""
        if self._manager is None:
            return "Nothing was saved: there is no `checkpoint_dir`."
        return f"Go on by resume=True from {self._manager.directory.parent}."

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        if self._manager is not None:
            self._manager.close()


def _claim(root: Path, run: dict[str, str], resume: bool) -> None:
    """Mark the directory as this run's, or refuse."""
    mark = root / "run.json"
    if not mark.exists():
        root.mkdir(parents=True, exist_ok=True)
        write_json(mark, run)
        return
    if not resume:
        raise ValueError(
            f"fit: {root} holds a run already. Pass resume=True to go on with it, or another "
            "`checkpoint_dir`."
        )
    found = read_json(mark, "Remove the folder to start anew, or restore the file from a copy.")
    different = [name for name in run if found.get(name) != run[name]]
    if different:
        raise ValueError(
            f"fit: {root} holds another run, with other {', '.join(different)}. Resume with the same "
            "arguments, or pass another `checkpoint_dir`."
        )
