"""The notebooks run, cell after cell. `HIFLOW_QUICK` makes the steps few."""

import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NEEDS = {"images": ["sklearn"], "molecule": ["ase", "hiflow_ase"]}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_a_notebook_runs(file, monkeypatch, tmp_path):
    for package in ["matplotlib", *NEEDS.get(file.stem, [])]:
        pytest.importorskip(package, reason="needs an extra or a plug-in")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIFLOW_QUICK", "1")
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path / "cache"))
    runpy.run_path(str(file))
