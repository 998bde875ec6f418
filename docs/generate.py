"""Writes what of the documentation derives from the registries: python docs/generate.py

The page of laws, `laws.md`, from one check of every built-in component in double precision; and in
`reference/`, for every built-in that is missing there, its line and its name in files.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import jax

from hiflow import testing
from hiflow.registry import Registry, families

DOCS = Path(__file__).parent
HEAD = """# Laws that hold

<!-- Written by: python docs/generate.py -->

What `hiflow.testing.check` finds in double precision on an example of every built-in component: the
largest violation of every law, over all inputs of the check (the number below the component's name).
A violation is relative unless its law says *standard errors*. Under a law's name stands what it
allows; a check fails where a number is above that. For every law the tests also hold a deliberately
broken component that it refuses, and they check more components than these.
"""


def built_in(registry: Registry) -> list[str]:
    """The names of a family's built-in components, whatever plug-ins are installed."""
    return [name for name in registry.names() if registry.origin(name) == "hiflow"]


def laws() -> str:
    """The page of laws in Markdown: a section per family's check."""
    sections = {}
    for registry in families().values():
        found = [
            testing.check(testing.example(registry, name), key=jax.random.key(0))
            for name in built_in(registry)
        ]
        sections[found[0].check] = f"## {found[0].check}\n\n{_table(found)}\n"
    return "\n".join([HEAD, *(sections[check] for check in sorted(sections))])


def reference(page: str, registry: Registry) -> str:
    """A family's page with the built-ins that it lacks, after those that it has."""
    names = built_in(registry)
    lines = [f"::: hiflow.{registry.family}.{registry.get(name).__name__}" for name in names]
    page = re.sub(r"(?m)^(::: \S+)\s*\n", r"\1\n\n", page).rstrip("\n") + "\n"
    present = [line for line in lines if f"{line}\n" in page]
    for line in lines:
        if line not in present:
            page = _after(page, [f"{known}\n\n" for known in present], f"{line}\n\n")
    head, mark, members = page.partition("\n::: ")
    for name in names:
        if f"`{name}`" not in head:
            head = _after(head, [f"`{known}`" for known in names], f", `{name}`")
    return head + mark + members


def file_of(family: str) -> Path:
    """The family's page of the reference."""
    return DOCS / "reference" / f"{family.replace('_', '-')}.md"


def _after(text: str, known: list[str], new: str) -> str:
    """The text with `new` behind the last of those known."""
    end = max(text.rfind(item) + len(item) for item in known if item in text)
    return text[:end] + new + text[end:]


def _table(found: list[testing.Findings]) -> str:
    """A row per law, a column per component."""
    columns = {one.component.rpartition(".")[2]: one.laws for one in found}
    components = sorted(columns)
    rows = defaultdict(dict)
    for component in components:
        for law in columns[component]:
            rows[law.name][component] = law
    inputs = {c: sum(law.inputs for law in columns[c]) for c in components}
    head = " | ".join(f"{c}<br>{inputs[c]:,}" for c in components)
    lines = [f"| law | meaning | {head} |", "|---" * (len(components) + 2) + "|"]
    for name, row in rows.items():
        low, high = (end(law.tolerance for law in row.values()) for end in (min, max))
        allowed = f"{high:.2g}" if low == high else f"{low:.2g} … {high:.2g}"
        meaning = next(iter(row.values())).meaning.replace("|", "\\|")
        cells = " | ".join(_cell(row.get(component)) for component in components)
        lines.append(f"| {name}<br>≤ {allowed} | {meaning} | {cells} |")
    return "\n".join(lines)


def _cell(law: testing.Law | None) -> str:
    if law is None:
        return "–"
    return f"{law.violation:.1e}" if law.violation else "0"


def main() -> None:
    """Write the pages."""
    for family, registry in families().items():
        page = file_of(family)
        page.write_text(reference(page.read_text(), registry))
    with jax.enable_x64(True):
        (DOCS / "laws.md").write_text(laws())


if __name__ == "__main__":
    sys.exit(main())
