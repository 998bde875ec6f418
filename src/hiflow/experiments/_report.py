"""A comparison on disk, as page, numbers and figures."""

import os
from pathlib import Path

from rich.console import Console

from hiflow._disk import write_json, write_text
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._figures import figures_of
from hiflow.experiments._page import page


def write(
    comparison: Comparison, out: str | os.PathLike[str], *, console: Console | None = None
) -> list[Path]:
    """Write `comparison.md`, `comparison.json` and the figures into a folder; the files written.

    Without matplotlib there are no figures, and the console is told how to get it.
    """
    root = Path(out)
    root.mkdir(parents=True, exist_ok=True)
    figures = figures_of(comparison, console or Console())
    for name, figure in figures.items():
        figure.savefig(root / f"{name}.png", dpi=150)
    write_json(root / "comparison.json", comparison.numbers(), indent=1)
    write_text(root / "comparison.md", page(comparison, figures))
    names = ["comparison.md", "comparison.json", *(f"{name}.png" for name in figures)]
    return [root / name for name in names]
