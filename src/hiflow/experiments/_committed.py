"""Comparisons as their `comparison.json` has them: the rows that count, and differences between two."""

import json
from pathlib import Path

import numpy as np

from hiflow._statistics import Mean, Part, half_width
from hiflow.experiments._run_folder import Row


def rows_that_count(file: Path) -> list[Row]:
    """The arms that weren't tuned, and of every family the one that validation chose; each with the NLLs
    of its seeds, `by_seed`, in their order."""
    numbers = json.loads(file.read_text(encoding="utf-8"))
    rows = [
        row for row in numbers["rows"] if not row["family"] or row["label"] in numbers["chosen"]
    ]
    members = sorted(numbers["members"], key=lambda member: member["seed"])
    for row in rows:
        row["by_seed"] = [each["nll"] for each in members if each["label"] == row["label"]]
    return rows


def less(row: Row, other: Row) -> Mean:
    """The NLL of a row less another's, paired over seeds, each with training and test points of its own:
    their spread holds all of it."""
    found = np.subtract(row["by_seed"], other["by_seed"])
    part = Part(float(found.var(ddof=1)) / len(found), len(found) - 1)
    return Mean(float(found.mean()), half_width([part]))
