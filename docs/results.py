"""Writes the README's, the documentation's and the write-ups' tables of results from the committed
comparisons: python docs/results.py

A number in these tables is never typed: `tests/docs/test_results.py` holds the pages to them.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hiflow._disk import write_text
from hiflow._statistics import Part, half_width
from hiflow.experiments._committed import less, rows_that_count

ROOT = Path(__file__).parents[1]
Row = dict[str, Any]
Cell = Callable[[Row], str]
_MARKS = ("<!-- results: python docs/results.py -->", "<!-- end of results -->")
_LARGE = 1e6


def rows_of(experiment: str) -> dict[str, Row]:
    """Label to row of a committed comparison."""
    text = (ROOT / "experiments" / experiment / "comparison.json").read_text(encoding="utf-8")
    return {row["label"]: row for row in json.loads(text)["rows"]}


def error(row: Row, name: str, *, points: str | None = None) -> float:
    """The half-width that covers seeds and points together.

    Comparisons that were made before the two were combined have an error over seeds, a standard error,
    and one over points beside it: with `points`, for seeds that share their test points, both count.
    """
    if "difference_se_points" not in row:
        return row[name]
    parts = [Part(row[name] ** 2, row["seeds"] - 1)]
    return half_width([*parts, Part(row[points] ** 2, _LARGE)] if points else parts)


def nll(digits: int = 2) -> Cell:
    """NLL ± error, of seeds that have test points of their own."""
    return lambda row: (
        f"{row['nll']:.{digits}f}".replace("-", "−") + f" ± {error(row, 'se'):.{digits}f}"
    )


def value(row: Row) -> str:
    """The NLL alone, where the comparison doesn't hold its error over points."""
    return f"{row['nll']:.1f}"


def controlled(row: Row) -> str:
    """The NLL controlled by the energy ± error, of seeds that share their test points."""
    combined = "difference_se_points" not in row
    half = row["controlled_se"] if combined else error(row, "se", points="controlled_se")
    return f"{row['controlled']:.2f} ± {half:.2f}"


def difference(digits: int = 2, *, shared: bool = False, sign: int = 1) -> Cell:
    """Paired difference ± error; `shared` says whether the seeds share their test points."""

    def cell(row: Row) -> str:
        if row["difference"] is None:
            return ""
        points = "difference_se_points" if shared else None
        value = f"{sign * row['difference']:+.{digits}f}".replace("-", "−")
        return f"{value} ± {error(row, 'difference_se', points=points):.{digits}f}"

    return cell


def nfe(row: Row) -> str:
    """NFE per point."""
    return f"{row['nfe']:.0f}"


def bits(row: Row) -> str:
    """Bits per dimension."""
    return f"{row['bits']:.3f}"


def table(
    experiment: str,
    arms: dict[str, str],
    title: str,
    columns: dict[str, Cell],
    last: Sequence[str] = (),
) -> str:
    """A table in Markdown.

    **Arguments:**

    - `arms`: what the README calls an arm, to its label.
    - `columns`: title to what a row shows there.
    - `last`: further lines.
    """
    rows = rows_of(experiment)
    lines = [f"| {' | '.join([title, *columns])} |", "|---" * (1 + len(columns)) + "|"]
    for name, label in arms.items():
        cells = [cell(rows[label]) for cell in columns.values()]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join([*lines, *last])


class Few(NamedTuple):
    """A line of the README: few samples of a system, all arms tuned and stopped by validation points."""

    data: str
    experiment: str
    digits: int = 2


RIVALS = ("OT-FM", "isotropic end law", "CDC-FM")
CONTROL, OURS = "control, mean rate", "HI-FM, Relaxed"


def summary() -> str:
    """The README's table: one line a system."""
    lines = [
        Few("ring, 10", "ring-10"),
        Few("mixture in 10 dimensions, 30", "mixture10-30"),
        Few("posterior of 31 weights, 10", "posterior-10", 1),
        Few("posterior of lynx and hares, 10", "lynx-10"),
        Few("DW4, 10", "dw4-10"),
        Few("arm of three joints, 10", "arm3-10"),
        Few("alanine dipeptide, 30", "aldp-30", 1),
        Few("chain of eight beads, 15", "chain8-15"),
    ]
    titles = ("data, samples", *RIVALS, CONTROL, OURS, "less the best rival")
    return "\n".join([f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *map(_few, lines)])


def _few(line: Few) -> str:
    """NLLs, and ours less that of the rival, control included, of which the mean is lowest."""
    file = ROOT / "experiments/few" / line.experiment / "comparison.json"
    rows = {row["family"] or row["arm"]: row for row in rows_that_count(file)}
    best = min((rows[name] for name in (*RIVALS, CONTROL)), key=lambda row: row["nll"])
    apart = less(rows[OURS], best)
    last = f"{apart.value:+.{line.digits}f} ± {apart.error:.{line.digits}f}".replace("-", "−")
    cells = [nll(line.digits)(rows[name]) for name in (*RIVALS, CONTROL, OURS)]
    return f"| {' | '.join([line.data, *cells, last])} |"


def lj13_quick() -> str:
    """The table of the packaged experiment."""
    arms = ("OT-FM", "HI-FM (Linearised)", "HI-FM (Relaxed)")
    columns = {
        "NLL": nll(),
        "controlled": controlled,
        "less OT-FM, paired": difference(),
        "NFE": nfe,
        "steps": lambda row: str(row["steps"]),
    }
    return table("lj13/quick", {arm: arm for arm in arms}, "arm", columns)


def results() -> str:
    """All tables of the page of results."""
    hessian = "HI-FM, Saturating at the minimum's Hessian"
    tables = [
        table(
            "ring",
            {
                "OT-FM": "OT-FM",
                "best of seven isotropic end laws": "isotropic, variance 0.03",
                "control: the Hessian's variances on swapped axes": "shuffled, s 0.3",
                "HI-FM: `Langevin` end law, s = 1": "Langevin, s 1",
                "**HI-FM: `Relaxed` end law, s = 1**": "Relaxed, s 1",
            },
            "ring, 20 samples, 5 seeds; scales chosen on validation points; floor 1.42",
            {"test NLL": nll(), "less OT-FM": difference(), "NFE": nfe},
        ),
        table(
            "dw4/ten",
            {
                "OT-FM": "OT-FM, EGNN, 10 samples",
                "isotropic end law": "isotropic end law, EGNN, 10 samples",
                "control: its mean for every mode": "control, MeanRate, EGNN, 10 samples",
                "control: on the wrong modes": "control, Shuffled, EGNN, 10 samples",
                "**HI-FM: `Relaxed`, the minimum's Hessian**": "HI-FM, Relaxed, EGNN, 10 samples",
            },
            "DW4, 10 samples, EGNN, 10 seeds",
            {"test NLL": nll(), "HI-FM less this": difference(sign=-1), "NFE": nfe},
        ),
        table(
            "aldp/few",
            {
                "OT-FM": "OT-FM, 30 samples",
                "best of two isotropic end laws": "isotropic end law, 0.03 Å, 30 samples",
                "control: its mean for every mode": "control, MeanRate, 30 samples",
                "**HI-FM: `Relaxed`, the sample's own Hessian**": "HI-FM, Relaxed, 30 samples",
            },
            "alanine dipeptide, 30 samples, EGNN with labels, 2 seeds",
            {"test NLL": nll(1), "less OT-FM": difference(1), "NFE": nfe},
        ),
        table(
            "water-10/ten",
            {
                "OT-FM": "OT-FM, 10 frames",
                "best of three isotropic end laws": "isotropic end law, 0.01 Å, 10 frames",
                "control: its mean for every mode": "control, MeanRate, shift 300, 10 frames",
                "**HI-FM: `Relaxed`, the frame's own Hessian**": (
                    "HI-FM, Relaxed, shift 300, 10 frames"
                ),
            },
            "water by GFN2-xTB, 10 frames, EGNN, 3 seeds; chosen on validation frames",
            {"test NLL": nll(), "less OT-FM": difference(), "NFE": nfe},
        ),
        table(
            "arm-7/end",
            {
                "OT-FM": "OT-FM, 100 configurations",
                "best of four isotropic end laws": "isotropic end law, 0.6 rad, 100 configurations",
                "control: its mean for every mode": "control, MeanRate, shift 1, 100 configurations",
                "HI-FM: `Relaxed`, Gauss–Newton": "HI-FM, Relaxed, shift 1, 100 configurations",
            },
            "seven-joint arm at a plane, 100 configurations, MLP, 2 seeds; chosen on validation points; "
            "floor 9.0",
            {"test NLL": nll(), "less OT-FM": difference(), "NFE": nfe},
        ),
        table(
            "lj13/figure4",
            {
                "OT-FM": "OT-FM",
                "control: on the wrong modes": "control, Shuffled",
                "control: their mean for every mode": "control, MeanRate",
                "HI-FM: `Saturating` rates, the minimum's Hessian": hessian,
            },
            "LJ13, 20,000 samples, 10,000 steps, 3 seeds, pairs aligned by symmetry; floor 16.9 to 17.0",
            {"controlled NLL": controlled, "less OT-FM": difference(shared=True), "NFE": nfe},
        ),
        table(
            "mnist/mnist-cpu",
            {
                "OT-FM": "OT-FM",
                "control: on the wrong modes": "control, Shuffled",
                "control: their mean for every mode": "control, MeanRate",
                "HI-FM: `Saturating` rates, a fitted Gaussian": "HI-FM, Saturating, Gaussian",
            },
            "MNIST 28×28, U-Net, 2,000 steps, 3 seeds",
            {"bits/dim": bits, "less OT-FM, nats": difference(0), "NFE": nfe},
        ),
        table(
            "digits/scarce",
            {
                "OT-FM": "OT-FM",
                "best of four isotropic end laws": "isotropic end law, variance 1/5",
                "control: their mean for every mode": "control, MeanRate, s 1",
                "HI-FM: `Relaxed`, a fitted network": "HI-FM, Relaxed, network, s 1",
            },
            "200 digits of 8×8, MLP, 3 seeds; chosen on validation images",
            # All seeds are scored on all test images.
            {"test NLL": value, "less OT-FM": difference(1, shared=True), "NFE": nfe},
        ),
    ]
    return "\n\n".join(tables)


PAGES = {
    "README.md": summary,
    "docs/results.md": results,
    "experiments/lj13/README.md": lj13_quick,
}


def with_results(page: str, text: str) -> str:
    """The text of a page with its tables as they come of the committed comparisons."""
    begin, end = _MARKS
    pattern = re.escape(begin) + r".*?" + re.escape(end)
    made = f"{begin}\n\n{PAGES[page]()}\n\n{end}"
    return re.sub(pattern, lambda _: made, text, flags=re.DOTALL)


if __name__ == "__main__":
    for page in PAGES:
        file = ROOT / page
        write_text(file, with_results(page, file.read_text(encoding="utf-8")))
