"""A comparison on the console."""

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console

from hiflow.experiments._run_folder import Row
from hiflow.experiments._tables import SCORES, console_table


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
    console.print(comparison.caption, soft_wrap=True, highlight=False)
