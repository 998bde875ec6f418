"""What is handed out: the source distribution's contents, and conda's recipe beside pyproject.toml."""

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_source_distribution_holds_the_library_alone(tmp_path):
    pytest.importorskip("hatchling", reason="needs the dev extra")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (file,) = tmp_path.iterdir()
    with tarfile.open(file) as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    assert {name.split("/")[0] for name in names} == {
        "src", "tests", "docs", "benchmarks", "mkdocs.yml", "constraints.txt", "README.md", "LICENSE",
        "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml", "PKG-INFO", ".gitignore",
    }  # fmt: skip
    assert "src/hiflow/flow.py" in names
    assert "src/hiflow/experiments/ring-quick.toml" in names


def test_the_recipe_of_conda_asks_for_what_pyproject_does():
    text = (ROOT / "packaging" / "recipe.yaml").read_text(encoding="utf-8")
    run = text[text.index("  run:") : text.index("tests:")]
    asked = {line.replace(" ", "") for line in re.findall(r"^    - (.*)$", run, re.M)}
    assert asked == {*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"}
    assert f'version: "{PROJECT["version"]}"' in text
