"""A comparison on the console."""

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console

from hiflow.experiments._by_class import BY_CLASS, UNTOLD, WITHOUT, by_class_cells
from hiflow.experiments._doubled import doubt
from hiflow.experiments._run_folder import Row
from hiflow.experiments._tables import SCORES, Fitting, console_table


class Shown(Protocol):
    """What a console shows of a comparison."""

    @property
    def caption(self) -> str:
        """What its numbers refer to."""
        ...

    def rows(self) -> Sequence[Row]:
        """A row per arm."""
        ...

    def failed_rows(self) -> Sequence[Row]:
        """A row per arm that has failed."""
        ...

    def class_rows(self) -> Sequence[Row]:
        """A row per arm and class."""
        ...

    def untold_rows(self) -> Sequence[Row]:
        """A row per arm, if any is told a class, without being told it."""
        ...


def show(comparison: Shown, console: Console | None = None) -> None:
    """Print the table, and what its numbers refer to.

    **Example:**

    ```pycon
    >>> from rich.console import Console
    >>> from hiflow import experiments
    >>> page = Console(record=True, width=120, quiet=True)  # without one, the screen
    >>> experiments.show(experiments.compare(["run"]), page)
    ```
    """
    console = console or Console()
    console.print(console_table(SCORES, [*comparison.rows(), *comparison.failed_rows()]))
    console.print(comparison.caption, markup=False, soft_wrap=True, highlight=False)
    for words in filter(None, map(doubt, comparison.rows())):
        console.print(words, style="yellow", markup=False, soft_wrap=True, highlight=False)
    if rows := comparison.class_rows():
        titles, cells = by_class_cells(rows)
        console.print(Fitting(titles, cells))
        console.print(BY_CLASS, soft_wrap=True, highlight=False)
    if rows := comparison.untold_rows():
        console.print(console_table(UNTOLD, rows))
        console.print(WITHOUT, soft_wrap=True, highlight=False)
