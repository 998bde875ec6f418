"""Who may look on while `fit` trains: callbacks, ready-made ones, and how one ends a run."""

import importlib
import math
import numbers
import os
from collections.abc import Callable
from typing import Any

from hiflow.training import Callback as Callback
from hiflow.training import Moment as Moment
from hiflow.training import Stop as Stop

Row = dict[str, Any]


class CSV:
    """Writes the history so far to a file of comma-separated values, whole, after every validation and
    at the end, and every `log_every` steps if `often`.

    **Arguments:**

    - `path`: the file; one that is there is replaced.

    **Example:**

    ```pycon
    >>> from pathlib import Path
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key, steps=40,
    ...               callbacks=[hf.callbacks.CSV("losses.csv")], progress=False)
    >>> Path("losses.csv").read_text().splitlines()[0]
    'step,seconds,loss,ended'
    ```
    """

    def __init__(self, path: str | os.PathLike[str], *, often: bool = False):
        self.path, self.often = os.fspath(path), often

    def see(self, moment: Moment) -> None:
        """Write the rows, this one too."""
        if self.often or moment.validated or "ended" in moment.row:
            moment.history.to_csv(self.path)


class TensorBoard:
    """Writes every number of a row as a curve over steps, for TensorBoard, by tensorboardX
    (`pip install 'hiflow-jax[tensorboard]'`). A resumed run takes the place of what was written of its
    steps before.

    **Arguments:**

    - `folder`: where TensorBoard looks for it.

    **Raises:** `ImportError` if tensorboardX isn't installed.

    **Example:**

    <!-- skip: needs tensorboardX -->
    ```pycon
    >>> logger = hf.callbacks.TensorBoard("runs/first")
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key,
    ...               callbacks=[logger])
    ```
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self._make = _imported("tensorboardX", "TensorBoard", "tensorboard").SummaryWriter
        self._folder, self._writer = os.fspath(folder), None

    def see(self, moment: Moment) -> None:
        """Write the row."""
        step = moment.row["step"]
        if self._writer is None:
            self._writer = self._make(self._folder, purge_step=step)
        for name, value in figures(moment.row).items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()


class WandB:
    """Logs every number of a row to Weights & Biases (`pip install 'hiflow-jax[wandb]'`).

    **Arguments:**

    - `settings`: what `wandb.init` takes, such as `project`, `name` and `mode="offline"`; `id` and
      `resume="allow"` for a run that is to be resumed. The run is made before training, and ended with
      it.

    **Raises:** `ImportError` if wandb isn't installed.

    **Example:**

    <!-- skip: needs wandb -->
    ```pycon
    >>> logger = hf.callbacks.WandB(project="rings", name="first", mode="offline")
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key,
    ...               callbacks=[logger])
    ```
    """

    def __init__(self, **settings: Any):
        self.run: Any = _imported("wandb", "WandB", "wandb").init(**settings)

    def see(self, moment: Moment) -> None:
        """Log the row."""
        self.run.log(figures(moment.row), step=moment.row["step"])
        if "ended" in moment.row:
            self.run.finish()


class StopWhen:
    """Ends a run at the first row that a condition holds for.

    **Arguments:**

    - `condition`: of a row; not every row has every name, e.g. `lambda row: row.get("nll", 9) < 2.5`.
    - `reason`: what the history says of it.

    **Example:**

    ```pycon
    >>> minute = hf.callbacks.StopWhen(lambda row: row["seconds"] > 60, "a minute is enough")
    >>> history = hf.History()
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key, steps=40,
    ...               callbacks=[minute], history=history, progress=False)
    >>> history.rows[-1]["ended"]
    'steps'
    ```
    """

    def __init__(self, condition: Callable[[Row], bool], reason: str = "a condition"):
        self.condition, self.reason = condition, reason

    def see(self, moment: Moment) -> None:
        """**Raises:** [`Stop`][hiflow.callbacks.Stop] if the condition holds."""
        if self.condition(moment.row):
            raise Stop(self.reason)


def figures(row: Row) -> dict[str, float]:
    """The finite numbers of a row, but its step."""
    return {
        name: float(value)
        for name, value in row.items()
        if name != "step" and isinstance(value, numbers.Real) and math.isfinite(value)
    }


def _imported(package: str, owner: str, extra: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"callbacks.{owner} needs {package}: pip install 'hiflow-jax[{extra}]'."
        ) from error
