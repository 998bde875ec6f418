"""What is imported when: nothing heavy before it is needed."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hiflow as hf
from hiflow import _index
from hiflow.registry import families

LAZY = ("hiflow", "hiflow._disk", "hiflow.experiments")
HEAVY = {"jax", "jaxlib", "numpy", "equinox", "diffrax", "optax", "scipy", "blackjax", "matplotlib"}


def imported(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has imported after `code`."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_is_imported_without_its_parts():
    assert not imported("import hiflow, hiflow.experiments, hiflow.cli") & HEAVY


def test_the_parts_need_no_sampler_and_no_progress_bars():
    loaded = imported("import hiflow; hiflow.fit, hiflow.data, hiflow.metrics")
    assert "jax" in loaded
    assert not loaded & {"blackjax", "scipy", "orbax", "rich", "matplotlib", "packaging"}


@pytest.mark.parametrize("package", LAZY)
def test_an_editor_sees_the_names_that_there_are(package):
    module = importlib.import_module(package)
    assert module.__file__
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for choice in tree.body
        if isinstance(choice, ast.If)
        for node in choice.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(seen) - {"plotting"} == set(module.__all__)
    for name, path in seen.items():
        home, _, attribute = path.rpartition(".")
        found = getattr(module, name)
        if isinstance(found, type(sys)):
            assert found is importlib.import_module(path)
        else:
            assert found is getattr(importlib.import_module(home), attribute)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hiflow' has no attribute 'fitt'"):
        getattr(hf, "fitt")  # noqa: B009
    assert {"fit", "paths", "__version__"} <= set(dir(hf))


def test_names_that_are_read_from_the_source_are_those_that_register():
    registered = {
        family: {name: registry.origin(name) for name in registry.names()}
        for family, registry in families().items()
    }
    assert _index.origins() == registered
    assert list(_index.origins()) == sorted(registered)


COMMANDS = {
    "--version": (0, "hiflow"),
    "--help": (0, "Commands"),
    "train --help": (0, "--resume"),
    "list": (0, "trace-normalised"),
    "list paths": (0, "langevin"),
    "trian": (2, "No such command 'trian'"),
    "train ring-quik": (2, "did you mean 'ring-quick'"),
    "train no-such.toml": (2, "no such file"),
    "train broken.toml": (2, "not valid TOML"),
    "train unknown.toml": (2, "unknown name 'trainign'"),
    "train ring-quick --out taken": (2, "--resume"),
    "train ring-quick --out taken --resume": (2, "another configuration"),
    "train ring-quick --seed 1 --seeds 2": (2, "exclude each other"),
    "plot figur-1": (2, "did you mean 'figure-1'"),
    "sample no-such-run": (2, "not a run folder"),
    "sample taken --out taken": (2, "choose another file"),
    "sample taken --out samples.txt": (2, "--out must end in one of .npz"),
    "sample taken --out no-such-folder/samples.npz": (2, "no-such-folder is no folder"),
    "evaluate taken --data points.npy": (2, "not a run folder"),
    "evaluate broken.toml --data points.npy": (2, "no such file: points.npy"),
    "compare taken": (2, "not a run folder"),
    "list pahts": (2, "no family 'pahts'"),
    "check satrating": (2, "did you mean 'saturating'"),
    "check cosine": (2, "choose by --family"),
    "check ring radius": (2, "as key=value"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "broken.toml").write_text("steps = ")
    (tmp_path / "unknown.toml").write_text("[trainign]\nsteps = 3")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_what_needs_no_numbers_needs_no_jax(command, folder, monkeypatch):
    code, words = COMMANDS[command]
    monkeypatch.setenv("COLUMNS", "300")
    run = [sys.executable, "-X", "importtime", "-m", "hiflow.cli", *command.split()]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=120)
    timed, told = [], []
    for line in done.stderr.splitlines():
        (timed if line.startswith("import time:") else told).append(line)
    assert done.returncode == code, told
    assert words in done.stdout + "\n".join(told)
    assert not {line.rpartition("|")[2].strip() for line in timed} & HEAVY
    assert timed


def test_the_shell_completes_names(folder):
    def completed(words: str) -> str:
        asked = {"_HIFLOW_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
        run = [sys.executable, "-c", "from hiflow.cli import app; app(prog_name='hiflow')"]
        environment = {**os.environ, **asked}
        return subprocess.run(run, env=environment, capture_output=True, text=True).stdout

    assert completed("hiflow train ring").split() == ["ring-quick"]
    assert completed("hiflow check satu").split() == ["saturating"]
    assert completed("hiflow list time").split() == ["time_samplers", "times"]
