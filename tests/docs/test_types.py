"""What a user's editor says of components and documented examples: nothing."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_examples import PAGES, blocks, name_of
from test_reference import PAGES as REFERENCE
from test_reference import statements

from built_in import own, package
from hiflow.registry import families

ROOT = Path(__file__).parents[2]
ARGUMENTS = {
    "block": "2",
    "centres": "np.zeros((3, 2))",
    "bandwidth": "0.5",
    "dim": "3",
    "energy": "'ring'",
    "function": "lambda x: (x**2).sum()",
    "generators": "[-np.eye(2)]",
    "group": "'trivial'",
    "groups": "('permutation', 'translation')",
    "key": "jax.random.key(0)",
    "mean": "np.zeros(2)",
    "means": "np.zeros((3, 2))",
    "particles": "4",
    "shape": "(2,)",
}
SURROUNDINGS = """
import jax
import numpy as np
import hiflow as hf

hf.paths.Langevin(hf.energies.Ring(), hessian=hf.hessians.Dense(), rates=hf.spectral.Power())
hf.paths.Langevin({"name": "ring", "radius": 2.0}, hessian={"name": "dense"}, rates="power", beta=3)
hf.energies.LennardJones.preset("lj13", trap=2.0).particles
"""


def construction(room: str, cls: type) -> str:
    """A line that makes the component with nothing but what it requires."""
    required = [
        p
        for p in inspect.signature(cls).parameters.values()
        if p.default is inspect.Parameter.empty
    ]
    name = f"{room.replace('hiflow', 'hf', 1)}.{cls.__name__}"
    if all(p.name in ARGUMENTS for p in required):
        return f"{name}({', '.join(f'{p.name}={ARGUMENTS[p.name]}' for p in required)})"
    # Made by fitting, never by hand.
    return f"{name}.example()"


def complaints(folder: Path) -> list[str]:
    """Pyright's errors on the files of a folder, in the mode that it has by default."""
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "."],
        cwd=folder,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == len(list(folder.glob("*.py"))), done.stderr
    return [
        f"{Path(one['file']).name}:{one['range']['start']['line'] + 1}: {one['message']}"
        for one in found["generalDiagnostics"]
        if one["severity"] == "error"
    ]


def test_constructors_and_examples_are_clean_to_a_type_checker(tmp_path):
    pytest.importorskip("pyright", reason="needs the dev extra")
    lines = [
        construction(package(registry), registry.get(name))
        for registry in families().values()
        for name in own(registry)
    ]
    (tmp_path / "components.py").write_text("\n".join([SURROUNDINGS, *lines, ""]))
    for page in PAGES:
        code = ""
        for line, block in blocks(page, "python"):
            # Blank lines in front: an error shows the line of the page.
            code += "\n" * (line - code.count("\n")) + block
        if code:
            (tmp_path / f"{name_of(page).replace('/', '_').replace('-', '_')}.py").write_text(code)
    for page in REFERENCE:
        (tmp_path / f"examples_{page.stem.replace('-', '_')}.py").write_text(statements(page))
    assert complaints(tmp_path) == []
