"""A broken plug-in breaks nothing else: real distributions, installed into a fresh environment."""

import json
import site
import subprocess
import textwrap
import venv
from pathlib import Path

import pytest

GOOD = """
    import jax.numpy as jnp
    import hiflow as hf

    class Cubic(hf.spectral.AbstractSpectralMap):
        def __call__(self, eigenvalues):
            return jnp.abs(eigenvalues) ** 3 + 1

        @property
        def lower_bound(self):
            return jnp.asarray(1.0)
"""
# Written when a map had no lower bound: it lacks what the abstract class asks for now.
OUTGROWN = """
    import hiflow as hf

    class Old(hf.spectral.AbstractSpectralMap):
        def __call__(self, eigenvalues):
            return eigenvalues
"""
PACKAGES = {
    "good": ("cubic", "Cubic", GOOD, ">=0.1"),
    "import-error": ("needs-more", "Thing", "import a_package_that_is_not_there", ""),
    "crash": ("crashes", "Thing", "1 / 0", ""),
    "syntax-error": ("unreadable", "Thing", "def (:", ""),
    "wrong-class": ("wrong", "Thing", "class Thing: pass", ""),
    "no-such-class": ("absent", "Thing", "", ""),
    "outgrown": ("outgrown", "Old", OUTGROWN, ""),
    "older-api": ("older", "Cubic", GOOD, "<0.1"),
    "first-claim": ("twice", "Cubic", GOOD, ""),
    "second-claim": ("twice", "Cubic", GOOD, ""),
    "usurper": ("constant", "Cubic", GOOD, ""),
}
MESSAGES = {
    "needs-more": "hiflow-test-import-error, which failed to import: ModuleNotFoundError",
    "crashes": "hiflow-test-crash, which failed to import: ZeroDivisionError",
    "unreadable": "hiflow-test-syntax-error, which failed to import: SyntaxError",
    "wrong": "hiflow-test-wrong-class must be a concrete subclass",
    "absent": "hiflow-test-no-such-class, which failed to import: AttributeError",
    "outgrown": "hiflow-test-outgrown must be a concrete subclass",
    "older": "hiflow-test-older-api, which was made for hiflow-jax<0.1",
    "twice": "claimed by hiflow-test-first-claim and hiflow-test-second-claim",
}
PROBE = """
    import json, sys
    import hiflow as hf
    registry = hf.spectral.registry
    found = {}
    for name in registry.names():
        try:
            found[name] = "loads " + registry.get(name).__module__
        except hf.RegistryError as error:
            found[name] = str(error)
    print(json.dumps(found))
"""


def write(folder: Path, package: str) -> Path:
    entry, attribute, code, requirement = PACKAGES[package]
    name, module = f"hiflow-test-{package}", f"hiflow_test_{package.replace('-', '_')}"
    root = folder / name
    root.mkdir(parents=True)
    (root / f"{module}.py").write_text(textwrap.dedent(code))
    (root / "pyproject.toml").write_text(
        textwrap.dedent(f"""
            [build-system]
            requires = ["hatchling"]
            build-backend = "hatchling.build"
            [project]
            name = "{name}"
            version = "1.0"
            dependencies = ["hiflow-jax{requirement}"]
            [project.entry-points."hiflow.spectral"]
            {entry} = "{module}:{attribute}"
            [tool.hatch.build.targets.wheel]
            include = ["{module}.py"]
        """)
    )
    return root


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment with all of these packages beside this one's."""
    folder = tmp_path_factory.mktemp("plugins")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    executable = folder / "venv" / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    run = lambda *command: subprocess.run(  # noqa: E731
        command, capture_output=True, text=True, timeout=300, cwd=folder
    )
    target = Path(run(str(executable), "-c", ask).stdout.strip())
    lines = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (target / "parent.pth").write_text("".join(lines))
    roots = [str(write(folder / "src", package)) for package in PACKAGES]
    done = run(
        str(executable), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
        "--no-build-isolation", "--disable-pip-version-check", *roots,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return executable


@pytest.fixture(scope="module")
def found(python):
    """What every name of the family gives there: a module, or the error's message."""
    command = [str(python), "-W", "error::UserWarning", "-c", textwrap.dedent(PROBE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_broken_plugin_is_named(found, name):
    assert MESSAGES[name] in found[name]


def test_all_else_works(found):
    works = {name for name, what in found.items() if what.startswith("loads ")}
    assert works == set(found) - set(MESSAGES)
    assert found["cubic"] == "loads hiflow_test_good"
    assert found["saturating"].startswith("loads hiflow.")


def test_a_built_in_name_means_the_built_in(found):
    assert found["constant"].startswith("loads hiflow.spectral")


def test_the_command_line_lists_all_and_says_which_fail(python):
    command = [str(python), "-m", "hiflow.cli", "list", "spectral", "--load"]
    environment = {"COLUMNS": "250", "PATH": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    rows = {line.split("│")[2].strip(): line for line in done.stdout.splitlines() if "│" in line}
    assert "yes" in rows["cubic"]
    assert "hiflow-test-good" in rows["cubic"]
    for name in MESSAGES:
        assert "no: spectral" in rows[name]


def test_a_run_that_names_a_broken_plugin_stops_with_one_line(python, tmp_path):
    file = tmp_path / "broken.toml"
    file.write_text(
        """
        [energy]
        name = "ring"
        [data]
        size = 10
        [[arm]]
        label = "x"
        path = {name = "linearised", rates = {name = "needs-more"}}
        """
    )
    command = [str(python), "-m", "hiflow.cli", "train", str(file), "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "hiflow-test-import-error" in done.stderr.replace("\n", "")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
