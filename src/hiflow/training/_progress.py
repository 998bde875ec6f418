"""The progress bar of a training run."""

import time


class Bar:
    """Steps done, loss, steps per second and time left; prints nothing if not `enabled`."""

    def __init__(self, steps: int, done: int, *, enabled: bool):
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            disable=not enabled,
        )
        self._task = self._progress.add_task("training", total=steps, completed=done, figures="")
        self._last = (done, time.perf_counter())

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, step: int, loss: float) -> None:
        """A new step and its loss."""
        before, then = self._last
        now = time.perf_counter()
        rate = (step - before) / max(now - then, 1e-9)
        self._last = (step, now)
        figures = f"loss {loss:.4f} · {rate:.1f} steps/s"
        self._progress.update(self._task, completed=step, description="training", figures=figures)

    def note(self, what: str) -> None:
        """Say what is being done between steps."""
        self._progress.update(self._task, description=what)
