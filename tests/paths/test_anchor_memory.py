"""How much memory anchors take is known before, kept to while they are made, and held to a budget."""

import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.paths import _anchors, _memory, anchor_bytes, budget_bytes, make_anchors, store_anchors

ENERGY = hf.energies.Gaussian(jnp.array([1.0, -1.0, 0.0]), jnp.array([4.0, 2.0, 1.0]))
PATH = hf.paths.Linearised(energy=ENERGY, hessian="analytic")
KEY = jax.random.key(0)
POINTS = jnp.array([1.0, -1.0, 0.0]) + jax.random.normal(KEY, (11, 3)) / jnp.sqrt(
    jnp.array([4.0, 2.0, 1.0])
)
ROW = 4 * (3 + 9 + 3 + 3)


def size(anchors):
    return sum(leaf.nbytes for leaf in jax.tree.leaves(anchors))


def train(**settings):
    network = hf.networks.MLP(shape=(3,), width=8, depth=1, key=KEY)
    common = {"prior": hf.priors.Normal(shape=(3,)), "key": KEY, "progress": False}
    return hf.fit(network, PATH, POINTS, **common, steps=5, batch_size=4, **settings)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("path", [PATH, hf.paths.OptimalTransport()], ids=["dense", "isotropic"])
def test_the_memory_is_known_before(path, dtype):
    assert anchor_bytes(path, POINTS, dtype) == size(make_anchors(path, POINTS, dtype=dtype))


def test_published_sizes():
    def row(energy):
        return anchor_bytes(hf.paths.Linearised(energy=energy), jnp.zeros((1, *energy.event_shape)))

    particles = hf.energies.LennardJones.preset
    assert row(particles("lj13")) == pytest.approx(6_000, rel=0.05)
    assert row(particles("lj55")) == pytest.approx(109_000, rel=0.05)


@pytest.mark.parametrize("chunk_size", [1, 4, 11, 100, None])
def test_chunks_change_nothing(chunk_size):
    made = make_anchors(PATH, POINTS, chunk_size=chunk_size)
    expected = eqx.filter_jit(eqx.filter_vmap(PATH.anchor))(POINTS)
    for a, b in zip(jax.tree.leaves(made), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_wide_anchors_are_made_in_smaller_chunks(monkeypatch):
    monkeypatch.setattr(_anchors, "_ROOM", 3 * ROW + 5)
    chunks = _anchors.anchor_chunks(PATH, POINTS, dtype="float32", chunk_size=None, progress=False)
    assert [start for start, _ in chunks] == [0, 3, 6, 9]


def test_anchors_above_the_budget_go_to_disk_and_from_there(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    whole = 11 * ROW
    with pytest.warns(UserWarning, match=f"take {ROW} bytes for each of 11 points.*anchor_dir"):
        streamed = train(anchor_budget=whole - 1)
    assert not list(tmp_path.iterdir())
    assert eqx.tree_equal(streamed, train(anchor_budget=whole))


def test_a_store_without_a_folder_is_temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stored = store_anchors(PATH, POINTS, None)
    assert stored.folder.parent == tmp_path
    del stored
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "much", None])
def test_other_budgets_are_refused(budget):
    with pytest.raises(ValueError, match=r'`anchor_budget` must be .* or "auto"'):
        hf.Training(anchor_budget=budget)


def test_the_automatic_budget_is_half_of_what_is_free(monkeypatch, tmp_path):
    monkeypatch.setattr(_memory, "free_bytes", lambda: 1_000)
    assert (budget_bytes("auto"), budget_bytes(7)) == (500, 7)


def test_a_container_may_have_less_than_its_host(tmp_path):
    assert _memory._left_in_container(tmp_path) == 2**62
    (tmp_path / "memory.current").write_text("300\n")
    for limit, left in (("1000\n", 700), ("100\n", 0), ("max\n", 2**62)):
        (tmp_path / "memory.max").write_text(limit)
        assert _memory._left_in_container(tmp_path) == left
    assert 0 < _memory.free_bytes() < 2**50


_PEAK = """
import json
import jax, jax.numpy as jnp
from hiflow.paths import make_anchors, AbstractPath

class Wide(AbstractPath):
    def anchor(self, x1):
        return x1[0] * jnp.ones(1000)
    def flow(self, x0, anchor, t):
        return x0

def peak():
    # Unlike the system's count of resources it doesn't begin at what the parent process took.
    with open("/proc/self/status") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

points = jnp.ones((100_000, 1))
make_anchors(Wide(), points[:1024], chunk_size=512)
before = peak()
anchors = make_anchors(Wide(), points, chunk_size=512)
print(json.dumps([peak() - before, anchors.nbytes]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's account of memory")
def test_anchors_are_held_once_while_they_are_made():
    run = subprocess.run([sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True)
    grown, held = json.loads(run.stdout)
    assert held == 400_000_000
    assert grown < 1.4 * held
