"""Anchors on disk: what was written is read back, goes on where it stopped, and is never mistaken."""

import json
import shutil
from collections import namedtuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, Int

import hiflow as hf
from hiflow.paths import _anchor_store as module
from hiflow.paths import make_anchors, store_anchors
from hiflow.training import _anchor_stream, _pairing

MEAN, PRECISION = jnp.array([1.0, -1.0, 0.0]), jnp.diag(jnp.array([4.0, 2.0, 1.0]))
ENERGY = hf.energies.Gaussian(MEAN, PRECISION)
PATH = hf.paths.Linearised(energy=ENERGY, hessian="analytic")
PRIOR = hf.priors.Normal(shape=(3,))
KEY = jax.random.key(0)
POINTS = MEAN + jax.random.normal(jax.random.key(1), (11, 3)) / jnp.sqrt(jnp.diag(PRECISION))


class Turned(hf.paths.AbstractPath):
    """Anchors with an index, a missing leaf, and vectors of a given size."""

    size: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=1.0)

    def anchor(self, x1):
        index: Int[Array, ""] = jnp.argmax(x1)
        vectors = self.size * jnp.outer(jnp.sin(x1), jnp.cos(x1))
        return {"x1": x1, "index": index, "vectors": vectors, "none": None}

    def flow(self, x0, anchor, t):
        turned = anchor["vectors"] @ x0
        return anchor["x1"] + (1 - t) * (x0 + turned + anchor["index"] - anchor["x1"])


def store(directory, path: hf.paths.AbstractPath = PATH, points=POINTS, **settings):
    return store_anchors(path, points, directory, **{"chunk_size": 4, **settings})


def train(path=PATH, points=POINTS, **settings):
    network = hf.networks.MLP(shape=(3,), width=8, depth=1, key=KEY)
    defaults = {"steps": 23, "batch_size": 4, "prior": PRIOR, "key": KEY, "progress": False}
    with pytest.MonkeyPatch.context() as patch:
        # Neither the number of steps nor of pieces per call may change anything.
        patch.setattr("hiflow.training._prepare.STEPS_PER_CALL", 10)
        return hf.fit(network, path, points, **{**defaults, **settings})


@pytest.fixture
def in_pieces(monkeypatch):
    """Room for the anchors of three steps: calls of 10 steps are cut into four pieces."""
    row = 4 * (3 + 9 + 3 + 3)
    monkeypatch.setattr(_anchor_stream, "_ROOM", 3 * 4 * row)


@pytest.mark.parametrize(
    "path", [PATH, Turned(), hf.paths.OptimalTransport()], ids=lambda p: type(p).__name__
)
def test_what_was_stored_is_what_is_made(tmp_path, path):
    stored, made = store(tmp_path, path), make_anchors(path, POINTS, chunk_size=4)
    assert eqx.tree_equal(jax.tree.map(jnp.asarray, stored.anchors), made)
    index = np.array([[7, 0], [3, 7], [10, 1]])
    rows = jax.tree.map(jnp.asarray, stored.rows(index))
    assert eqx.tree_equal(rows, jax.tree.map(lambda leaf: leaf[index], made))
    assert len(stored) == 11
    assert stored.row_bytes == sum(leaf.nbytes for leaf in jax.tree.leaves(made)) // 11


def test_wide_rows_are_read_from_the_file_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(module.mmap, "PAGESIZE", 16)
    stored, index = store(tmp_path), np.array([[10, 0], [3, 10]])
    expected = jax.tree.map(lambda leaf: np.array(leaf[index]), stored.anchors)
    assert eqx.tree_equal(stored.rows(index), expected)
    truncate(stored.folder)
    with pytest.raises(OSError, match="has become shorter"):
        stored.rows(index)


def test_half_precision_is_for_vectors_alone(tmp_path):
    half, full = store(tmp_path, dtype="float16").anchors, make_anchors(PATH, POINTS)
    assert half.modes.vectors.dtype == np.float16
    np.testing.assert_allclose(half.modes.vectors, full.modes.vectors, atol=1e-3)
    for name in ("centre", "speeds", "components"):
        np.testing.assert_array_equal(getattr(half, name), getattr(full, name))
    assert eqx.tree_equal(
        jax.tree.map(jnp.asarray, half), make_anchors(PATH, POINTS, dtype="float16", chunk_size=4)
    )


def test_an_interrupted_store_is_gone_on_with(tmp_path, monkeypatch):
    chunks, made = module.anchor_chunks, []

    def counting(*arguments, fail_at=None, **settings):
        for start, chunk in chunks(*arguments, **settings):
            if start == fail_at:
                raise KeyboardInterrupt
            made.append(start)
            yield start, chunk

    monkeypatch.setattr(module, "anchor_chunks", lambda *a, **s: counting(*a, fail_at=8, **s))
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path)
    monkeypatch.setattr(module, "anchor_chunks", counting)
    stored = store(tmp_path)
    assert made == [0, 4, 8]
    expected = make_anchors(PATH, POINTS, chunk_size=4)
    assert eqx.tree_equal(jax.tree.map(jnp.asarray, stored.anchors), expected)
    store(tmp_path)
    assert made == [0, 4, 8]


def test_other_paths_points_and_precisions_have_other_folders(tmp_path):
    other = hf.paths.Linearised(energy=ENERGY, hessian="analytic", rates="constant")
    folders = [
        store(tmp_path).folder,
        store(tmp_path, other).folder,
        store(tmp_path, points=POINTS[::-1]).folder,
        store(tmp_path, dtype="float16").folder,
    ]
    assert len(set(folders)) == 4
    assert store(tmp_path).folder == folders[0]


def spoil_manifest(folder):
    (folder / "manifest.json").write_text('{"rows": 11')


def spoil_count(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "rows": 12}))


def truncate(folder):
    file = max(folder.glob("*.npy"), key=lambda file: file.stat().st_size)
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 8)


def remove(folder):
    next(folder.glob("*.npy")).unlink()


@pytest.mark.parametrize("spoil", [spoil_manifest, spoil_count, truncate, remove])
def test_a_corrupt_store_is_named(tmp_path, spoil):
    folder = store(tmp_path).folder
    spoil(folder)
    with pytest.raises(
        ValueError, match=rf"{folder.name} are truncated, corrupt .* Delete that folder"
    ):
        store(tmp_path)
    shutil.rmtree(folder)
    assert len(store(tmp_path)) == 11


def test_too_small_a_disk_is_refused_before_writing(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 10, 100)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    row = 4 * (3 + 9 + 3 + 3)
    with pytest.raises(OSError, match=rf"need {11 * row} bytes in .*, where 100 are free"):
        store(tmp_path)
    assert not list(tmp_path.rglob("*.npy"))


def test_bad_anchors_are_refused_before_they_count(tmp_path):
    points = POINTS.at[9, 0].set(jnp.nan)
    with pytest.raises(
        ValueError, match="not finite at 1 of 3 data points from index 8 on, first at index 9"
    ):
        store(tmp_path, points=points)
    (manifest,) = tmp_path.rglob("manifest.json")
    assert json.loads(manifest.read_text())["rows"] == 8
    with pytest.raises(ValueError, match="too large for float16"):
        store(tmp_path, Turned(1e6), dtype="float16")


def test_unknown_precisions_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`dtype` must be one of .*; got 'float8'"):
        store(tmp_path, dtype="float8")
    with pytest.raises(ValueError, match="`anchor_dtype` must be one of"):
        train(anchor_dtype="int8")


def test_a_path_without_identity_gets_a_folder_that_goes_with_it(tmp_path):
    energy = hf.energies.FunctionEnergy(lambda x: (x**4).sum(), shape=(3,))
    path = hf.paths.Linearised(energy=energy)
    for _ in range(2):
        with pytest.warns(UserWarning, match="can't be identified"):
            stored = store(tmp_path, path)
        assert stored.folder.exists()
        del stored
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "dtype"),
    [
        (PATH, "float32"),
        (PATH, "float16"),
        (Turned(), "float32"),
        (hf.paths.OptimalTransport(), "float32"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_training_from_disk_is_training_from_memory(tmp_path, in_pieces, path, dtype):
    streamed = train(path, anchor_dir=tmp_path, anchor_dtype=dtype)
    assert eqx.tree_equal(streamed, train(path, anchor_dtype=dtype))


def test_pieces_are_even_and_at_least_a_step(tmp_path):
    stored = store(tmp_path)
    room = _anchor_stream._ROOM // stored.row_bytes
    assert _anchor_stream.steps_at_once(stored, 1, 50) == 50
    assert _anchor_stream.steps_at_once(stored, room // 20, 50) == 17
    assert _anchor_stream.steps_at_once(stored, 2 * room, 50) == 1


def test_a_resumed_run_from_disk_is_an_uninterrupted_one_from_memory(tmp_path, in_pieces):
    def interrupt(row):
        if row["step"] == 13:
            raise KeyboardInterrupt

    settings = {
        "anchor_dir": tmp_path / "anchors",
        "checkpoint_dir": tmp_path / "run",
        "checkpoint_every": 6,
    }
    with pytest.raises(KeyboardInterrupt):
        train(validation=0.9 * POINTS[:2], validate_at=[13], callbacks=[interrupt], **settings)
    assert eqx.tree_equal(train(resume=True, **settings), train())


def test_arms_share_pairs_whether_from_disk_or_memory(tmp_path, in_pieces, monkeypatch):
    calls, make = [], _pairing._draw
    monkeypatch.setattr(_pairing, "_memory", _pairing._Memory())
    monkeypatch.setattr(_pairing, "_draw", lambda *rest: calls.append(1) or make(*rest))
    streamed = train(coupling="minibatch-ot", anchor_dir=tmp_path)
    assert len(calls) == 3
    assert all(drawn.anchors is None for drawn in _pairing._memory.draws.values())
    assert eqx.tree_equal(streamed, train(coupling="minibatch-ot"))
    assert len(calls) == 3


def test_half_precision_in_memory_trains_nearly_alike():
    half, full = train(anchor_dtype="float16"), train()
    assert all(
        leaf.dtype == jnp.float32
        for leaf in jax.tree.leaves(eqx.filter(half.network, eqx.is_array))
    )
    for a, b in zip(
        *(jax.tree.leaves(eqx.filter(f.network, eqx.is_array)) for f in (half, full)), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_training_from_disk_in_double_precision(tmp_path, in_pieces, x64):
    points, energy = POINTS.astype(float), hf.energies.Gaussian(MEAN, PRECISION.astype(float))
    path, prior = (
        hf.paths.Linearised(energy=energy, hessian="analytic"),
        hf.priors.Normal(shape=(3,)),
    )
    streamed = train(path, points, prior=prior, anchor_dir=tmp_path)
    (vectors,) = tmp_path.rglob("*vectors.npy")
    assert np.load(vectors).dtype == np.float64
    assert eqx.tree_equal(streamed, train(path, points, prior=prior))
