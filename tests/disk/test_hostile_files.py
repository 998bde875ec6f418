"""Nobody's file runs code, imports a module, fills the memory or passes for another density."""

import sys

import jax
import pytest

import hiflow as hf
from hostile import examine, honest_files, hostile

# Of Python, JAX and the tests' own checks, whatever the file.
SLACK = 2**25


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with an `evil_module`, from which Python would import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    return tmp_path


@pytest.mark.parametrize("part", range(4))
def test_a_hostile_file_is_refused_or_is_the_flow_that_it_was(folder, part):
    plane, particles = honest_files(folder)
    x = jax.random.normal(jax.random.key(1), (3, 2))
    expected = hf.load(plane).log_prob(x)
    wrong = []
    for name, content in list(hostile(plane, particles))[part::12]:
        (folder / "x.hiflow").write_bytes(content)
        found = examine(name, folder / "x.hiflow", x, expected)
        fine = found.outcome in ("refused", "same density")
        if not fine or found.grown > 2 * len(content) + SLACK:
            wrong.append(found)
    assert wrong == []
    assert not any("evil" in name for name in sys.modules)
