"""The progress bar of a training run."""

import time

from hiflow._notebook import Line, without_widgets


class Bar:
    """Steps done, loss, steps per second and time left; prints nothing if not `enabled`. In a notebook
    without ipywidgets it is a line of text."""

    def __init__(self, steps: int, done: int, *, enabled: bool):
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._line = Line() if enabled and without_widgets() else None
        self._steps, self._said = steps, ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            disable=not enabled or self._line is not None,
        )
        self._task = self._progress.add_task("training", total=steps, completed=done, figures="")
        self._last = (done, time.perf_counter())

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.show(self._said, at_once=True)
        self._progress.stop()

    def show(self, step: int, loss: float) -> None:
        """A new step and its loss."""
        before, then = self._last
        now = time.perf_counter()
        rate = (step - before) / max(now - then, 1e-9)
        self._last = (step, now)
        figures = f"loss {loss:.4f} · {rate:.1f} steps/s"
        if self._line is not None:
            self._said = f"training {step:,}/{self._steps:,} · {figures}"
            self._line.show(self._said)
        self._progress.update(self._task, completed=step, description="training", figures=figures)

    def note(self, what: str) -> None:
        """Say what is being done between steps."""
        self._progress.update(self._task, description=what)
