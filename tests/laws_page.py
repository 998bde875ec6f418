"""The page of all laws that the conformance kit held built-in components to, from a test run."""

from collections import defaultdict

HEAD = """# Laws that hold

<!-- Written by the tests: python -m pytest -n 2 --write-laws -->

What the conformance kit found in a run of all tests, in double precision: for every component the
largest violation of every law, over all inputs of all its checks (the number below its name). A
violation is relative unless its law says *standard errors*. Under a law's name stands what it
allows; the tests fail where a number is above that. For every law the tests also hold a
deliberately broken component that it refuses.
"""


def recorded(findings) -> list[dict]:
    """What one check of a component of hiflow or a plug-in found; nothing for tests' own components."""
    module, _, name = findings.component.rpartition(".")
    if module.partition(".")[0].partition("_")[0] != "hiflow" or findings.rounding > 1e-9:
        return []
    return [
        {
            "check": findings.check,
            "component": name,
            "law": law.name,
            "meaning": law.meaning,
            "violation": law.violation,
            "tolerance": law.tolerance,
            "inputs": law.inputs,
        }
        for law in findings.laws
    ]


def page(records: list[dict]) -> str:
    """The page in Markdown: a section per function of the kit, a row per law, a column per component."""
    checks = defaultdict(list)
    for record in records:
        checks[record["check"]].append(record)
    sections = [HEAD]
    for check in sorted(checks):
        sections.append(f"## {check}\n\n{_table(checks[check])}\n")
    return "\n".join(sections)


def _table(records: list[dict]) -> str:
    components = sorted({record["component"] for record in records})
    laws = list(dict.fromkeys(record["law"] for record in records))
    cells = defaultdict(list)
    for record in records:
        cells[record["law"], record["component"]].append(record)
    inputs = {
        c: sum(r["inputs"] for law in laws for r in cells.get((law, c), [])) for c in components
    }
    head = " | ".join(f"{c}<br>{inputs[c]:,}" for c in components)
    lines = [f"| law | meaning | {head} |", "|---" * (len(components) + 2) + "|"]
    for law in laws:
        every = [record for c in components for record in cells.get((law, c), [])]
        low, high = (end(record["tolerance"] for record in every) for end in (min, max))
        allowed = f"{high:.2g}" if low == high else f"{low:.2g} … {high:.2g}"
        found = [
            f"{max(r['violation'] for r in cells[law, c]):.1e}" if (law, c) in cells else "–"
            for c in components
        ]
        meaning = every[0]["meaning"].replace("|", "\\|")
        row = " | ".join(cell.replace("0.0e+00", "0") for cell in found)
        lines.append(f"| {law}<br>≤ {allowed} | {meaning} | {row} |")
    return "\n".join(lines)
