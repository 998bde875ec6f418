"""The table of results: kept as JSON, row by row, and written as Markdown."""

import hashlib
import json
from pathlib import Path
from typing import Any

from _timing import ratio, spread

from _peers.rows import ROWS, TOLERANCES, Row
from _peers.workers import ROOT

Result = dict[str, Any]
_ABOUT = (
    "Written by `python benchmarks/peers.py`. Ratios are time ÷ time, of each round in which all ran",
    "in turns on one pinned core: median (least–most). Below 1 hiflow is faster. Points have 39",
    "dimensions, the network is an MLP of 3 layers of 128 and batches have 256, unless a row says",
    "otherwise. All clip gradients, follow a schedule and average weights as hiflow does, unless a row",
    "says otherwise; jaxfm has no average.",
)


def source() -> str:
    """A digest of hiflow's sources and of the benchmark's."""
    digest = hashlib.sha256()
    for folder in ("src/hiflow", "benchmarks/_peers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def read(file: Path) -> dict[str, Result]:
    """The rows that were measured before, by name."""
    return json.loads(file.read_text())["rows"] if file.exists() else {}


def write(file: Path, machine: dict[str, str], rows: dict[str, Result]) -> None:
    """Both files; `file` names the JSON."""
    ordered = {row.name: rows[row.name] for row in ROWS if row.name in rows}
    file.write_text(json.dumps({"machine": machine, "rows": ordered}, indent=1) + "\n")
    file.with_suffix(".md").write_text(_markdown(machine, ordered))


def lines(result: Result) -> list[str]:
    """A row of results, as lines of the table."""
    ours, found = result["seconds"]["hiflow"], []
    for label, seconds in result["seconds"].items():
        if label == "hiflow":
            continue
        quotient = ratio(ours, seconds)
        goal = result["goals"].get(label)
        verdict = "" if goal is None else f"{'✓' if quotient.median <= goal else '✗'} ≤ {goal:g}"
        found.append(
            f"| {result['title']} | {label} | {quotient} | {verdict} "
            f"| {_time(ours)} | {_time(seconds)} | {_facts(result, label)} |"
        )
    failed = result["failed"].items()
    return found + [f"| {result['title']} | {label} | failed: {why} |||||" for label, why in failed]


def _facts(result: Result, label: str) -> str:
    ours, theirs = result["facts"]["hiflow"], result["facts"][label]
    if "error" in ours and "error" in theirs:
        return f"error {ours['error']:.1e} against {theirs['error']:.1e}"
    agreed = sorted(ours.keys() & theirs.keys() & TOLERANCES.keys())
    return "; ".join(result["disagreements"]) or ", ".join(
        f"same {name}".replace("_", " ") for name in agreed
    )


def _time(seconds: list[float]) -> str:
    median = spread(seconds).median
    return f"{1e6 * median:.3g} µs" if median < 1e-3 else f"{1e3 * median:.3g} ms"


def _markdown(machine: dict[str, str], rows: dict[str, Result]) -> str:
    said = [
        "# hiflow beside its peers",
        "",
        *_ABOUT,
        "",
        "| work | against | ratio | goal | hiflow | other | checked |",
        "|---|---|---|---|---|---|---|",
        *(line for result in rows.values() for line in lines(result)),
        "",
        f"Machine: {', '.join(f'{name} {value}' for name, value in machine.items())}.",
        "",
    ]
    for when in sorted({(row["date"], row["source"], row["rounds"]) for row in rows.values()}):
        names = [n for n, r in rows.items() if (r["date"], r["source"], r["rounds"]) == when]
        date, digest, rounds = when
        said.append(f"{date}, sources {digest}, {rounds} rounds: {', '.join(names)}.  ")
    return "\n".join(said).rstrip() + "\n"


def result_of(row: Row, **measured: Any) -> Result:
    """What is kept of a row."""
    return {"title": row.title, "goals": row.goals, "source": source(), **measured}
