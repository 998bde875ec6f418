"""The documentation is true: its examples run, its TOML is read, the site builds without a warning.

On every page the `python` blocks run in order in one module, as they stand. Two HTML comments, that
the reader of the page doesn't see, change this: `<!-- skip: why -->` on the line before a block
leaves it out, and `<!-- smaller: 20_000 -> 200; ... -->` anywhere on the page replaces numbers.
"""

import inspect
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import hiflow
from hiflow import experiments
from hiflow.experiments._check import checked
from hiflow.registry import families

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(<!-- skip[^\n]*-->\n)?^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALLER = re.compile(r"<!-- smaller: (.*?) -->")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTED = """
    coordinates couplings data energies groups hessians metrics networks paths plotting priors spectral
    spectrum targets testing time_samplers times
"""


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The page's blocks that aren't skipped: the line each starts on, and its text."""
    text = page.read_text()
    return [
        (text.count("\n", 0, match.start(3)), match[3])
        for match in BLOCK.finditer(text)
        if match[2] == language and match[1] is None
    ]


def smaller(page: Path, code: str) -> str:
    """The code with the numbers that the page's comment names replaced; each must occur."""
    comment = SMALLER.search(page.read_text())
    for pair in comment[1].split("; ") if comment else []:
        old, new = pair.split(" -> ")
        assert old in page.read_text().replace(comment[0], ""), (
            f"{page.name}: no {old!r} to replace"
        )
        code = code.replace(old, new)
    return code


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT).with_suffix(""))


@pytest.fixture
def clean_session(monkeypatch, tmp_path):
    """An empty folder and cache, registries that forget, and no page's module left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path / "cache"))
    for registry in families().values():
        for known in ("_registered", "_renamed"):
            monkeypatch.setattr(registry, known, dict(getattr(registry, known)))
    return monkeypatch


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name_of)
def test_examples_run(page, clean_session):
    module = types.ModuleType(f"example_{page.stem.replace('-', '_')}")
    clean_session.setitem(sys.modules, module.__name__, module)
    for line, code in blocks(page, "python"):
        # Blank lines in front: an error shows the line of the page.
        source = "\n" * line + smaller(page, code)
        exec(compile(source, str(page), "exec"), module.__dict__)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "toml")], ids=name_of)
def test_experiments_are_read(page, tmp_path):
    for line, text in blocks(page, "toml"):
        if "arm" not in tomllib.loads(text):
            continue
        file = tmp_path / f"line-{line}.toml"
        file.write_text(text)
        checked(experiments.read(file))


def test_every_public_name_is_documented_once():
    pages = (ROOT / "docs").rglob("*.md")
    documented = [
        name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)
    ]
    assert len(documented) == len(set(documented))
    assert not public_names() - set(documented)


def public_names() -> set[str]:
    """Classes and functions that a family's module or hiflow itself offers."""
    modules = {f"hiflow.{name}": getattr(hiflow, name) for name in DOCUMENTED.split()} | {
        "hiflow": hiflow
    }
    return {
        f"{path}.{name}"
        for path, module in modules.items()
        for name in dir(module)
        if not name.startswith("_")
        for value in [getattr(module, name)]
        if (inspect.isclass(value) or inspect.isfunction(value))
        and belongs(value, path, module, name)
    }


def belongs(value, path: str, module, name: str) -> bool:
    """Defined here or in a private submodule, rather than imported for use."""
    home = value.__module__
    if path == "hiflow":
        return home.count(".") == 1 and home.startswith("hiflow.")
    if hasattr(module, "__all__"):
        return name in module.__all__
    return home == path or home.startswith(f"{path}._")


def test_site_builds_without_warnings(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the docs extra")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    done = subprocess.run(
        [*command, str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.html").is_file()
    assert "WARNING" not in done.stdout + done.stderr
