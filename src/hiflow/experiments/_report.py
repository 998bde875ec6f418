"""A comparison on disk, as page, numbers and figures."""

import os
from pathlib import Path
from typing import Any

from rich.console import Console

from hiflow._disk import write_json, write_text, written
from hiflow.experiments._compare import compare
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._figures import figures_of, losses_of
from hiflow.experiments._html import html
from hiflow.experiments._member import members_of
from hiflow.experiments._page import page
from hiflow.experiments._run_folder import RunFolder


def write(
    comparison: Comparison, out: str | os.PathLike[str], *, console: Console | None = None
) -> list[Path]:
    """Write `comparison.md`, `comparison.json` and the figures into a folder; the files written.

    Without matplotlib there are no figures, and the console is told how to get it.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> from rich.console import Console
    >>> found = experiments.compare(["run"])
    >>> files = experiments.write(found, "out", console=Console(quiet=True))
    >>> sorted(file.name for file in files)
    ['comparison.json', 'comparison.md', 'densities.png']
    ```
    """
    root = Path(out)
    root.mkdir(parents=True, exist_ok=True)
    figures = figures_of(comparison, console or Console())
    files = _save(figures, root)
    write_json(root / "comparison.json", comparison.numbers(), indent=1)
    write_text(root / "comparison.md", page(comparison, figures))
    return [root / "comparison.md", root / "comparison.json", *files]


def draw(
    run: str | os.PathLike[str], out: str | os.PathLike[str], console: Console | None = None
) -> list[Path]:
    """Draw the figures of a run folder, its losses with them, into a folder; the files written.

    **Raises:** `ValueError` if it is no run folder, or no arm of it has finished.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> from rich.console import Console
    >>> files = experiments.draw("run", "pictures", Console(quiet=True))
    >>> "losses.png" in [file.name for file in files]
    False
    ```
    """
    console = console or Console()
    comparison = compare([run], console=console)
    figures = figures_of(comparison, console)
    if figures:
        figures |= losses_of(comparison)
    root = Path(out)
    root.mkdir(parents=True, exist_ok=True)
    return _save(figures, root)


def write_report(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    samples: int = 256,
    console: Console | None = None,
) -> Path:
    """Write a run folder's report, one page of HTML that needs no other file and no network: results
    with their errors, curves, samples, configuration, versions, and how to repeat it.

    **Arguments:**

    - `out`: the file, by default `report.html` in the run folder.
    - `samples`: how many to draw from every flow and weigh, where the run has an energy; 0 for none.

    **Returns:** the file.

    **Raises:** `ValueError` if it is no run folder, or no arm of it has finished.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> from rich.console import Console
    >>> file = experiments.write_report("run", samples=0, console=Console(quiet=True))
    >>> file.name
    'report.html'
    ```
    """
    folder, console = RunFolder(run), console or Console()
    known = folder.experiment().tables.get("energy") is not None
    known = known and all(m.has_density and not m.is_told for m in members_of(folder))
    comparison = compare([run], samples=samples if known else 0, console=console)
    figures = figures_of(comparison, console)
    if figures:
        figures |= losses_of(comparison)
    file = folder.root / "report.html" if out is None else Path(out)
    write_text(file, html(comparison, figures, folder))
    return file


def _save(figures: dict[str, Any], root: Path) -> list[Path]:
    for name, figure in figures.items():
        with written(root / f"{name}.png") as file:
            figure.savefig(file, format="png", dpi=150)
    return [root / f"{name}.png" for name in figures]
