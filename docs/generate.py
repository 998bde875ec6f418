"""Writes what of the documentation derives from the registries: python docs/generate.py

In `reference/`, for every built-in component that is missing there, its line and its name in files;
and the page of laws, `laws.md`, from one check of every built-in in double precision (minutes).
"""

import os
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from compilation import environment

# As the tests compile, so that what they have compiled isn't compiled again.
os.environ.update(environment() | os.environ)

import jax

from hiflow import testing
from hiflow._disk import write_text
from hiflow.registry import Registry, families

DOCS = Path(__file__).parent
HEAD = """# Laws that hold

<!-- Written by: python docs/generate.py -->

What `hiflow.testing.check` finds on an example of every built-in component, as `hiflow.testing.example`
makes it, in double precision. For every law: on which components it was checked, the violation that
comes nearest to what the law allows, and of which component that is. A violation is the largest over
all inputs of the check, and relative unless its law says *standard errors*. A check fails where a
violation is above what is allowed. Each law's tests also hold a deliberately broken component that it
refuses, and they check more components than these.

All numbers are of one run of `python docs/generate.py`, JAX {jax} on {device}. End laws are checked as a
part of `Spectral`.
"""
Checked = dict[str, testing.Findings]
"""What was found for every component of a check, by the name of its class."""


def built_in(registry: Registry) -> list[str]:
    """The names of a family's built-in components, whatever plug-ins are installed."""
    return [name for name in registry.names() if registry.origin(name) == "hiflow"]


def laws() -> str:
    """The page of laws in Markdown: a section per function of the kit. Prints a line per family."""
    sections: dict[str, Checked] = defaultdict(dict)
    for family, registry in families().items():
        begun, names = time.perf_counter(), built_in(registry)
        for name in names:
            component = testing.example(registry, name)
            found = testing.check(component, key=jax.random.key(0))
            sections[found.check][type(component).__name__] = found
        print(f"{family}: {len(names)} checked in {time.perf_counter() - begun:.0f} s", flush=True)
    head = HEAD.format(jax=jax.__version__, device=jax.devices()[0].device_kind)
    parts = (f"## {check}\n\n{_section(sections[check])}" for check in sorted(sections))
    return "\n".join([head, *parts])


def reference(page: str, registry: Registry) -> str:
    """A page of the reference with the family's built-ins that it lacks, after those that it has."""
    names = built_in(registry)
    lines = [f"::: {package(registry)}.{registry.get(name).__name__}" for name in names]
    page = re.sub(r"(?m)^(::: \S+)\s*\n", r"\1\n\n", page).rstrip("\n") + "\n"
    missing = [line for line in lines if f"{line}\n" not in page]
    last = max(page.find(f"{line}\n\n") + len(line) + 2 for line in lines if line not in missing)
    page = page[:last] + "".join(f"{line}\n\n" for line in missing) + page[last:]
    listed = listing(page, names)
    first = min(listed.find(f"`{name}`") for name in names if f"`{name}`" in listed)
    new = "".join(f"`{name}`, " for name in names if f"`{name}`" not in listed)
    return page.replace(listed, listed[:first] + new + listed[first:]).rstrip("\n") + "\n"


def package(registry: Registry) -> str:
    """The package whose components these are, as `hiflow.paths` for end laws."""
    return registry.base.__module__.rpartition("._")[0]


def file_of(registry: Registry) -> Path:
    """The family's page of the reference."""
    room = package(registry).removeprefix("hiflow.")
    return DOCS / "reference" / f"{room.replace('_', '-')}.md"


def listing(page: str, names: list[str]) -> str:
    """The paragraph of the page that lists these names; a page may have one for another family."""
    return max(page.split("\n\n"), key=lambda text: sum(f"`{name}`" in text for name in names))


def _section(checked: Checked) -> str:
    """The components with the number of their inputs, and a row per law."""
    inputs = {one: sum(law.inputs for law in found.laws) for one, found in checked.items()}
    listed = ", ".join(f"`{one}` {inputs[one]:,}" for one in sorted(inputs))
    rows: dict[str, dict[str, testing.Law]] = defaultdict(dict)
    for component in sorted(checked):
        for law in checked[component].laws:
            rows[law.name][component] = law
    table = "\n".join(_row(name, row, len(checked)) for name, row in rows.items())
    return f"""Components, and on how many inputs: {listed}.

| law | meaning | checked on | violation | allowed |
|---|---|---|---|---|
{table}
"""


def _row(name: str, row: dict[str, testing.Law], components: int) -> str:
    nearest = max(row, key=lambda one: _share(row[one]))
    law = row[nearest]
    meaning = law.meaning.replace("|", "\\|")
    checked_on = f"all {components}" if len(row) == components else f"{len(row)} of {components}"
    if len(row) == 1 < components:
        checked_on = f"{nearest} alone"
    found = f"{law.violation:.1e}, {nearest}" if law.violation else "0"
    return f"| {name} | {meaning} | {checked_on} | {found} | {law.tolerance:.2g} |"


def _share(law: testing.Law) -> float:
    """How much of what is allowed was found."""
    return law.violation / law.tolerance if law.violation else 0.0


def main() -> None:
    """Write the pages. `laws.md` changes only once all components have passed."""
    for registry in families().values():
        page = file_of(registry)
        write_text(page, reference(page.read_text(), registry))
    with jax.enable_x64(True):
        write_text(DOCS / "laws.md", laws())


if __name__ == "__main__":
    sys.exit(main())
