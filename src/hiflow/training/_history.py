"""What became of a run, row by row: losses every few steps, and the figures of every validation."""

import csv
import importlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hiflow._disk import DamagedFile, parse_json, read_text, write_text
from hiflow._kinds import shown

# Of a history or a table: numbers and words by name.
Row = dict[str, Any]
# Of every point: they are in the rows, and would make a table unreadable.
_OF_POINTS = ("log_prob", "chains")


class History:
    """The rows of one run. [`fit`][hiflow.fit] fills the one that it is given, with the rows from before
    a resume too, and keeps the same in its `checkpoint_dir` as `history.jsonl`; a run folder has one
    for every arm.

    Every row has `step`, `seconds` (of training) and `loss`, the mean over the steps since the row
    before. Rows of validations have the fields of [`NLL`][hiflow.metrics.NLL] too, or those of
    [`SampleDistance`][hiflow.metrics.SampleDistance] where the prior has no density; and, where
    validation chooses, `best_step` and `best_nll`. The last row has `ended`, the reason why the run did,
    and with `finish` the validation NLLs before and after it, `nll_trained` and `nll_finished`.

    **Arguments:**

    - `rows`: dicts, each with a `step`.

    **Example:**

    ```pycon
    >>> history = hf.History()
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key,
    ...               steps=40, log_every=10, history=history, progress=False)
    >>> history.column("step")
    [10, 20, 30, 40]
    >>> len(history.column("loss")), history.rows[-1]["ended"]
    (4, 'steps')
    ```
    """

    def __init__(self, rows: Iterable[Row] = ()):
        self.rows: list[Row] = list(rows)

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no rows)"
        last = self.rows[-1]
        said = {name: last[name] for name in ("loss", "nll", "distance", "ended") if name in last}
        words = ", ".join(f"{name}={_short(value)}" for name, value in said.items())
        return f"History({len(self.rows)} rows to step {last['step']}: {words})"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def validations(self) -> list[Row]:
        """The rows that have an NLL, or a distance where there is no density."""
        return [row for row in self.rows if "nll" in row or "distance" in row]

    def column(self, name: str) -> list[Any]:
        """The values of one name, of the rows that have it."""
        return [row[name] for row in self.rows if name in row]

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """The names, and the rows with `None` for what they don't have; what is of every point is left
        out."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        names = [name for name in names if name not in _OF_POINTS]
        return names, [[row.get(name) for name in names] for row in self.rows]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as a file of comma-separated values, atomically."""
        text = io.StringIO()
        names, rows = self.table()
        csv.writer(text, lineterminator="\n").writerows([names, *rows])
        write_text(path, text.getvalue())

    def to_pandas(self) -> Any:
        """The table as a `pandas.DataFrame`.

        **Raises:** `ImportError` if pandas isn't installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError(
                "History.to_pandas needs pandas (pip install pandas); History.to_csv and "
                "History.table need nothing."
            ) from error
        names, rows = self.table()
        return pandas.DataFrame(rows, columns=names)

    def add(self, row: Row) -> None:
        """Add a row; those of its step and later ones go, since a resumed run makes them again."""
        self.rows = [*(old for old in self.rows if old["step"] < row["step"]), row]

    def write(self, path: Path) -> None:
        """Write the rows, a line of JSON each, atomically."""
        write_text(path, "".join(json.dumps(row) + "\n" for row in self.rows))

    @classmethod
    def read(cls, path: Path) -> "tuple[History, str | None]":
        """The rows of a file that can be read, and what is wrong with the first line that can't."""
        rows, wrong = [], None
        if not path.exists():
            return cls(), None
        try:
            lines = read_text(path, "").splitlines()
        except DamagedFile as error:
            return cls(), str(error)
        for number, line in enumerate(lines, 1):
            try:
                row = parse_json(line)
                if not isinstance(row, dict) or not isinstance(row.get("step"), int):
                    raise ValueError("no row with a `step`")
                rows.append(row)
            except ValueError as error:
                wrong = wrong or f"line {number}: {error}"
        return cls(rows), wrong


def checked_history(value: Any, what: str) -> History | None:
    """Raise `ValueError` for what isn't a history."""
    if value is not None and not isinstance(value, History):
        raise ValueError(f"{what} must be a hiflow.History to fill; got {shown(value)}.")
    return value


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
