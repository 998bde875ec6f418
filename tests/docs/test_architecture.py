"""The drawing of the architecture is the contract that import-linter holds."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_drawing_has_the_layers_of_the_contract():
    page = (ROOT / "docs" / "architecture.md").read_text()
    drawing = page.partition("```text\n")[2].partition("\n\n")[0]
    drawn = [
        set(re.split(r" {2,}", line)[0].split(" · "))
        for line in drawing.splitlines()
        if line.strip() != "│"
    ]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    held = [{room.removeprefix("hiflow.") for room in layer.split(" | ")} for layer in layers]
    assert drawn == held
