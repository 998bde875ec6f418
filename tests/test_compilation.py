"""Compiled code is kept without changing a number, apart by processor, and not without end."""

import os
import subprocess
import sys

import jax
import numpy as np

import hiflow as hf
from hiflow._compilation import forget_the_oldest, machine


def test_what_was_used_longest_ago_goes_first(tmp_path):
    for age, name in enumerate(["newest", "older", "oldest"]):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, times=(1e9 - age, 1e9))
    forget_the_oldest(tmp_path, largest=20)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "older"}


def test_code_is_kept_apart_by_processor(tmp_path):
    names = set()
    for flags in ("sse avx2", "sse avx2 avx512f"):
        (tmp_path / "cpuinfo").write_text(f"processor: 0\nflags: {flags}\ncpu MHz: 2000\n")
        names.add(machine(tmp_path / "cpuinfo"))
    (tmp_path / "cpuinfo").write_text("processor: 7\nflags: sse avx2\ncpu MHz: 3000\n")
    assert machine(tmp_path / "cpuinfo") in names
    assert len(names) == 2
    assert machine(tmp_path / "none") not in names


def sampled(folder, *options):
    """The samples and densities that the shell draws of the folder's flow, as users call it."""
    unset = ("JAX_COMPILATION_CACHE_DIR", "TF_CPP_MIN_LOG_LEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    out = folder / "samples.npz"
    run = [sys.executable, "-m", "hiflow.cli", "sample", "a.hiflow", "--size", "3", *options]
    done = subprocess.run(
        [*run, "--out", str(out)],
        cwd=folder,
        env=environment | {"HIFLOW_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert "warning" not in done.stdout
    with np.load(out) as stored:
        arrays = {name: stored[name] for name in stored.files}
    out.unlink()
    return arrays, {path.name for path in folder.glob("cache/compiled/*/*")}


def test_compiled_code_that_was_kept_gives_the_same_numbers(tmp_path):
    network = hf.networks.MLP(shape=(2,), width=4, depth=1, key=jax.random.key(0))
    hf.Flow(hf.priors.Normal(shape=(2,)), network).save(tmp_path / "a.hiflow")
    fresh, none = sampled(tmp_path, "--no-cache")
    first, kept = sampled(tmp_path)
    second, same = sampled(tmp_path)
    assert not none
    assert kept
    assert same == kept
    for name in fresh:
        np.testing.assert_array_equal(first[name], fresh[name])
        np.testing.assert_array_equal(second[name], fresh[name])


def kept_in(folder, **given):
    """What `keep` sets, in a process where nothing else is set."""
    code = (
        "from hiflow import _compilation; import os; before = dict(os.environ); _compilation.keep()"
    )
    code += "; print(*(dict(os.environ).items() - before.items()), sep='\\n')"
    names = ("JAX_", "TF_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(names)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"HIFLOW_CACHE": str(folder)} | given,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_users_own_settings_count(tmp_path):
    assert "JAX_COMPILATION_CACHE_DIR" in kept_in(tmp_path / "new")
    told = kept_in(tmp_path / "new", TF_CPP_MIN_LOG_LEVEL="0")
    assert "JAX_COMPILATION_CACHE_DIR" in told
    assert "TF_CPP" not in told
    assert not kept_in(tmp_path / "other", JAX_COMPILATION_CACHE_DIR=str(tmp_path)).strip()
    assert not (tmp_path / "other").exists()


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    assert not kept_in(tmp_path / "file").strip()
