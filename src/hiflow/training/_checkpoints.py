"""Training state on disk, by Orbax: atomic, checked when it is read, and of one run alone."""

import hashlib
import json
import logging
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from hiflow._disk import locked, write_json
from hiflow._processes import by_leader, exchange, leads, several
from hiflow.training._claims import Claim
from hiflow.training._history import History

T = TypeVar("T")
# The newest, and the one to go back to if that is damaged.
_KEPT = 2
_UNFINISHED = "orbax-checkpoint-tmp"


class Progress(NamedTuple):
    """What is known of a run besides its state: seconds of training, the mean loss since the last row
    of its history, and over how many steps that is. Of several runs at once the loss is an array."""

    seconds: float = 0.0
    loss: Any = float("nan")
    steps: float = 0.0

    def after(self, steps: int, loss: Any, seconds: float) -> "Progress":
        """With more steps, of this mean loss, at this time."""
        before = self.loss * self.steps if self.steps else 0.0
        total = self.steps + steps
        return Progress(seconds, (before + loss * steps) / total, total)

    def reset(self) -> "Progress":
        """After a row."""
        return self._replace(steps=0.0)


class Checkpoints:
    """The checkpoints of one run, in a folder that no other process may use meanwhile; does nothing if
    `directory` is `None`.

    **Arguments:**

    - `run`, `steps`: what [`Claim`][hiflow.training._claims.Claim] takes.

    **Raises:** on entry, `ValueError` if another process uses the folder, or it isn't this run's.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None,
        run: Mapping[str, str],
        steps: int,
        resume: bool,
    ):
        if directory is None and resume:
            raise ValueError("fit: `resume` needs `checkpoint_dir`, where to resume from.")
        self._root = None if directory is None else Path(directory).absolute()
        self._asked = (run, steps, resume)
        self._manager: Any = None
        self._claim: Claim | None = None
        self.ends: tuple[int, ...] = (steps,)

    @property
    def way_on(self) -> str:
        """How to go on from the newest state."""
        if self._manager is None:
            return "Nothing was saved: there is no `checkpoint_dir`."
        return f"Go on by resume=True from {self._manager.directory.parent}."

    def __enter__(self) -> "Checkpoints":
        self._open = ExitStack()
        if self._root is not None:
            with ExitStack() as opening:
                root = self._root
                # The first of several processes locks and claims for all.
                by_leader(lambda: self._begin(root, opening))
                ends = json.loads(exchange(json.dumps(self.ends))[0])
                self.ends = tuple(ends)
                self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        if self._manager is not None:
            self._manager.close()
        self._open.close()

    def _begin(self, root: Path, opening: ExitStack) -> None:
        opening.enter_context(locked(root))
        run, steps, resume = self._asked
        self._claim = Claim(root, run, steps, resume=resume)
        self.ends = self._claim.ends
        # What a process that was killed had begun to write, or to delete.
        whole = [path for path in root.glob("steps/*") if path.name.isdigit()]
        spare = sorted(whole, key=lambda path: int(path.name))[:-_KEPT]
        for left in (*root.glob(".*.tmp"), *root.glob(f"steps/*{_UNFINISHED}*"), *spare):
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    @property
    def kept(self) -> bool:
        """Whether anything is saved at all."""
        return self._root is not None

    def restore(self, state: T, done: Progress) -> tuple[T, Progress]:
        """The newest state that is whole, and the progress until then; or what was given."""
        if self._root is None or not (steps := self._steps()):
            return state, done
        arrays, static = eqx.partition(state, eqx.is_array)
        leaves, structure = jax.tree.flatten(arrays)
        for step, before in zip(steps, [*steps[1:], None], strict=True):
            with warnings.catch_warnings():
                # Orbax leaves some reads unbegun when one fails, and Python warns of that.
                warnings.filterwarnings("ignore", "coroutine", RuntimeWarning)
                found, complaint = self._read(step, leaves, done)
                if complaint:
                    self._put_aside(step, before, complaint)
                    continue
            leaves, progress = found
            return eqx.combine(jax.tree.unflatten(structure, leaves), static), progress
        return state, done

    def save(self, step: int, state: PyTree, progress: Progress) -> None:
        """Write the state under its step, atomically; the newest two are kept."""
        if self._root is None or step in self._steps()[:1]:
            return
        if self._claim is not None:
            self._claim.write()
        leaves = jax.tree.leaves(eqx.filter(state, eqx.is_array))
        tree = {"leaves": leaves, **_plain(progress), "digest": _digest(leaves)}
        self._orbax.save(step, args=self._arguments.StandardSave(tree))

    @property
    def reported(self) -> int:
        """The last step whose validation and callbacks are done with."""
        if self._root is None:
            return 0
        file = self._root / "reported.json"
        text = file.read_text(encoding="utf-8").strip() if file.exists() else ""
        text = exchange(text)[0]
        return int(text) if text.isdigit() else 0

    def report(self, step: int) -> None:
        """Keep that a step's validation and callbacks are done with."""
        if self._root is not None and leads():
            write_json(self._root / "reported.json", step)

    def write_histories(self, histories: Sequence[History]) -> None:
        """Keep the rows of every flow beside the states, if there are any yet."""
        if self._root is not None and self._root.is_dir() and leads():
            for history, file in zip(histories, self._files(len(histories)), strict=True):
                history.write(file)

    def recall(self, histories: Sequence[History], step: int) -> None:
        """Fill histories with the rows up to the step that training goes on from."""
        for history in histories:
            history.rows = []
        for history, file in zip(histories, self._files(len(histories)), strict=False):
            found, wrong = History.read(file)
            if wrong is not None:
                warnings.warn(
                    f"the history in {file} is damaged ({wrong}); rows are missing from it.",
                    stacklevel=6,
                )
            history.rows = [row for row in found.rows if row["step"] <= step]

    def _files(self, number: int) -> list[Path]:
        """Of the histories of so many flows; none if nothing is saved."""
        if self._root is None:
            return []
        names = ["history"] if number == 1 else [f"history-{i}" for i in range(number)]
        return [self._root / f"{name}.jsonl" for name in names]

    def _steps(self) -> Sequence[int]:
        """Of the states on disk, the newest first."""
        # Several processes make their managers together.
        if self._manager is None and not several() and not self._folder.is_dir():
            return ()
        return sorted(self._orbax.all_steps(), reverse=True)

    @property
    def _folder(self) -> Path:
        assert self._root is not None
        return self._root / "steps"

    @property
    def _orbax(self) -> Any:
        """The manager, made when there is something to read or write."""
        if self._manager is None:
            # Imported here because it takes two seconds that most sessions don't need to spend.
            import orbax.checkpoint as ocp

            logging.getLogger("absl").setLevel(logging.CRITICAL)
            options = ocp.CheckpointManagerOptions(
                max_to_keep=_KEPT, enable_async_checkpointing=False
            )
            self._arguments = ocp.args
            self._manager = ocp.CheckpointManager(self._folder, options=options)
        return self._manager

    def _read(
        self, step: int, leaves: list[Any], done: Progress
    ) -> tuple[tuple[list[Any], Progress], str]:
        """What is saved, and what is wrong with it, if it is, for any of several processes."""
        like = {"leaves": leaves, **_plain(done), "digest": _digest([])}
        manager, found, complaint = self._orbax, (leaves, done), ""
        try:
            saved = manager.restore(step, args=self._arguments.StandardRestore(like))
            seconds, loss, steps = (np.asarray(saved[name]) for name in Progress._fields)
            progress = Progress(float(seconds), loss if loss.shape else float(loss), float(steps))
            found = (saved["leaves"], progress)
            digests = saved["digest"], _digest(saved["leaves"])
            if all(map(np.any, digests)) and not np.array_equal(*digests):
                complaint = "the numbers aren't those that were saved"
        except MemoryError:
            raise
        except Exception as error:
            complaint = f"{type(error).__name__}: {str(error)[:200]}"
        return found, next(filter(None, exchange(complaint)), "")

    def _put_aside(self, step: int, before: int | None, complaint: str) -> None:
        """Say that a state can't be read, and move it to where it isn't in the way."""
        target = self._folder.parent / "damaged" / str(step)

        def move() -> None:
            target.parent.mkdir(exist_ok=True)
            if target.exists():
                shutil.rmtree(target)
            (self._folder / str(step)).replace(target)

        by_leader(move)
        self._orbax.reload()
        on = "from the start" if before is None else f"from step {before}"
        warnings.warn(
            f"the checkpoint of step {step} is damaged ({complaint}); "
            f"training goes on {on}. It was moved to {target}.",
            stacklevel=6,
        )


def _plain(progress: Progress) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.float64) for name, value in progress._asdict().items()}


def _digest(leaves: Sequence[Any]) -> np.ndarray:
    """A hash of the numbers; zeros where this process doesn't have all of them."""
    hashing = hashlib.sha256()
    for leaf in leaves:
        if not (
            getattr(leaf, "is_fully_addressable", True)
            or getattr(leaf, "is_fully_replicated", False)
        ):
            return np.zeros(32, np.uint8)
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        hashing.update(np.asarray(leaf).tobytes())
    return np.frombuffer(hashing.digest(), np.uint8)
