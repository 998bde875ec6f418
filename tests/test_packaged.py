"""Experiments that plug-ins ship are found by their names, without anything being imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from hiflow import experiments
from hiflow._disk._names import plugin_packages
from hiflow.experiments import ConfigError

TOML = """
[energy]
name = "ring"
[[arm]]
label = "OT-FM"
path = {name = "optimal-transport"}
"""
# Distribution: its entry, the value, and what it asks for.
PLUGINS = {
    "good": ("my-quick", "shipped_good.files", ">=0.1"),
    "absent": ("lost", "shipped_absent", ">=0.1"),
    "uninstalled": ("gone", "no_such_package", ">=0.1"),
    "malformed": ("odd", "shipped good/files", ">=0.1"),
    "empty": ("empty", "", ">=0.1"),
    "older": ("older", "shipped_older", "<0.1"),
    "first": ("twice", "shipped_first", ""),
    "second": ("twice", "shipped_second", ""),
    "usurper": ("ring-quick", "shipped_usurper", ""),
    "broken": ("broken", "shipped_broken", ""),
    "binary": ("binary", "shipped_binary", ""),
}
MESSAGES = {
    "lost": "is provided by hiflow-absent, which has no file lost.toml in 'shipped_absent'",
    "gone": "is provided by hiflow-uninstalled, which has no file",
    "odd": "is provided by hiflow-malformed, which has no file",
    "empty": "is provided by hiflow-empty, which has no file",
    "older": "hiflow-older, which was made for hiflow-jax<0.1",
    "twice": "is claimed by hiflow-first and hiflow-second",
    "broken": r"broken \(from hiflow-broken\): not valid TOML",
    "binary": "Install the package anew",
}


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Installed as wheels are: a package whose import fails, and the metadata beside it."""
    for name, (entry, value, requirement) in PLUGINS.items():
        metadata = tmp_path / f"hiflow_{name}-1.0.dist-info"
        metadata.mkdir()
        text = f"Metadata-Version: 2.1\nName: hiflow-{name}\nVersion: 1.0\n"
        (metadata / "METADATA").write_text(f"{text}Requires-Dist: hiflow-jax{requirement}\n")
        (metadata / "entry_points.txt").write_text(f"[hiflow.experiments]\n{entry} = {value}\n")
        folder = tmp_path / f"shipped_{name}"
        folder.mkdir()
        (folder / "__init__.py").write_text("1 / 0\n")
        if name == "good":
            folder /= "files"
            folder.mkdir()
        if name != "absent":
            text = {"broken": b"steps =", "binary": b"\xff\xfe\x00"}.get(name, TOML.encode())
            (folder / f"{entry}.toml").write_bytes(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_plugins_experiment_is_read_by_its_name(plugins):
    assert experiments.packaged_experiments()["my-quick"] == "hiflow-good"
    read = experiments.read("my-quick")
    assert (read.name, read.text) == ("my-quick", TOML)
    with pytest.raises(ConfigError, match="did you mean 'my-quick'"):
        experiments.read("my-quik")


@pytest.mark.parametrize("name", MESSAGES)
def test_a_broken_plugin_is_named_and_breaks_nothing(plugins, name):
    with pytest.raises(ConfigError, match=MESSAGES[name]):
        experiments.read(name)
    assert experiments.read("my-quick").text == TOML
    assert "no_such_package" in plugin_packages()


def test_a_built_in_name_means_the_built_in(plugins):
    assert experiments.packaged_experiments()["ring-quick"] == "hiflow"
    assert experiments.read("ring-quick").text != TOML


def test_the_shell_finds_them_without_jax_and_without_the_plugins(plugins, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    code = "import sys; from hiflow.cli import app; app({words!r}, standalone_mode=False)"
    code += "; assert not {{'jax', 'numpy', 'shipped_good'}} & set(sys.modules)"
    sources = str(Path(experiments.__file__ or "").parents[2])

    def run(*words: str) -> str:
        begin = f"import sys; sys.path[:0] = {[sources, str(plugins)]!r};"
        done = subprocess.run(
            [sys.executable, "-c", begin + code.format(words=list(words))],
            capture_output=True, text=True, timeout=120, cwd=plugins,
        )  # fmt: skip
        return " ".join((done.stdout + done.stderr).split())

    listed = run("list")
    assert "my-quick (hiflow-good)" in listed
    assert "twice (hiflow-first and hiflow-second)" in listed
    assert "Error" not in listed
    assert "did you mean 'my-quick'" in run("train", "my-quikc")
    assert MESSAGES["twice"] in run("train", "twice")
