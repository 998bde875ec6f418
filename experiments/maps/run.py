"""Numbers of spectral maps that are learned, beside maps that are fixed: trains, compares and tells.

    python experiments/maps/run.py             # what is left of all, then the tables
    python experiments/maps/run.py ring-1000   # of these alone
    python experiments/maps/run.py --report    # the tables of what there is

A run that was cut short goes on where it was. Runs are kept in `runs/maps`, comparisons in this folder.
"""

import json
import signal
import sys
from pathlib import Path

from rich.console import Console

from hiflow import experiments
from hiflow._disk import write_json, write_text
from hiflow.experiments._committed import less, rows_that_count
from hiflow.experiments._page import page

HERE = Path(__file__).parent
RUNS = HERE.parents[1] / "runs" / "maps"
PLAN = ("ring-1000", "ring-10", "moons-10", "dw4-1000")
FIXED = ("OT-FM", "Saturating", "Langevin", "Relaxed")
LEARNED = ("isotropic, learned", "rates, learned", "Relaxed, learned")
PAIRS = (
    *(
        ("Relaxed, learned", other)
        for other in ("Relaxed", "Langevin", "OT-FM", "isotropic, learned")
    ),
    *(("rates, learned", other) for other in ("Saturating", "OT-FM")),
    ("isotropic, learned", "OT-FM"),
)


def main(*wanted):
    """Run what is wanted, or all that is planned; then report."""
    # A process that a shell starts in the background ignores Ctrl-C, and with it a kind request to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in () if "--report" in wanted else wanted or PLAN:
        if not (HERE / name / "comparison.json").is_file():
            run(name)
            report()
    report()


def run(name):
    """Train all arms of a file, and write their comparison and what was learned."""
    experiment, folder = experiments.read(HERE / f"{name}.toml"), RUNS / name
    comparison = experiments.train(
        experiment, folder, resume=folder.exists(), console=Console(width=120)
    )
    out = HERE / name
    out.mkdir(exist_ok=True)
    write_json(out / "learned.json", learned(folder), indent=1)
    write_json(out / "comparison.json", comparison.numbers(), indent=1)
    write_text(out / "comparison.md", page(comparison, ()))


def learned(folder):
    """Of every arm and seed, the last line of why: numbers, steps, NLL of what was left out."""
    found = {}
    for file in sorted(folder.glob("seed-*/*/choice.json")):
        why = json.loads(file.read_text(encoding="utf-8"))["why"]
        found.setdefault(file.parent.name, []).append(why[-1])
    return found


def report():
    """The tables of all that is finished."""
    names = [name for name in PLAN if (HERE / name / "comparison.json").is_file()]
    rows = {name: rows_of(name) for name in names}
    arms = (*FIXED, *LEARNED)
    lines = [f"| system, samples | {' | '.join(arms)} |", "|---" * (len(arms) + 1) + "|"]
    for name, of in rows.items():
        cells = [f"{of[arm]['nll']:.3f} ± {of[arm]['se']:.3f}" for arm in arms]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    titles = [f"{one} less {other}" for one, other in PAIRS]
    lines += ["", f"| paired | {' | '.join(titles)} |", "|---" * (len(PAIRS) + 1) + "|"]
    for name, of in rows.items():
        cells = [difference(of[one], of[other]) for one, other in PAIRS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    write_text(HERE / "table.md", "\n".join(lines) + "\n")


def rows_of(name):
    """Arm to its row, with the NLL of every seed."""
    rows = rows_that_count(HERE / name / "comparison.json")
    return {row["label"]: row for row in rows}


def difference(row, other):
    found = less(row, other)
    return f"{found.value:+.3f} ± {found.error:.3f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
