"""Pixels to real numbers and back with the right Jacobians, and images from files."""

import gzip
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiflow import data
from hiflow.data import PixelTransform

transforms = st.builds(
    PixelTransform,
    levels=st.sampled_from([2, 17, 256]),
    alpha=st.just(1e-6) | st.floats(0.01, 0.3),
    shift=st.floats(-3, 3),
    scale=st.floats(0.5, 5),
)


@given(transforms, st.integers(0, 99))
def test_pixels_survive_dequantisation_and_logit(transform, seed):
    pixels = np.random.default_rng(seed).integers(0, transform.levels, size=(3, 4, 4))
    u = transform.dequantise(pixels, key=jax.random.key(seed))
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    z = transform.forward(u)
    np.testing.assert_allclose(transform.inverse(z), u, atol=3e-6)
    back = np.asarray(transform.to_pixels(z))
    # A value within rounding of a pixel's border may fall to either side.
    near = np.abs(np.asarray(u) * transform.levels - np.round(np.asarray(u) * transform.levels))
    np.testing.assert_array_equal(back[near > 2e-3], pixels[near > 2e-3])


@given(transforms, st.integers(0, 99))
def test_log_det_is_that_of_the_jacobian(transform, seed):
    with jax.enable_x64(True):
        u = jnp.asarray(np.random.default_rng(seed).uniform(0.01, 0.99, size=5))
        J = jax.jacfwd(transform.forward)(u)
        expected = jnp.linalg.slogdet(J)[1]
        np.testing.assert_allclose(transform.log_det(transform.forward(u)), expected, rtol=1e-5)


@given(transforms)
def test_the_uniform_density_has_log2_levels_bits(transform):
    u = jnp.asarray(np.random.default_rng(0).uniform(0.01, 0.99, size=(4, 4)), jnp.float32)
    z = transform.forward(u)
    uniform = -transform.log_det(z)
    np.testing.assert_allclose(
        transform.bits_per_dim(uniform, z), np.log2(transform.levels), rtol=1e-4
    )
    # One nat more per dimension is 1 / log 2 bits less.
    better = transform.bits_per_dim(uniform + z.size, z)
    np.testing.assert_allclose(np.log2(transform.levels) - better, 1 / np.log(2), rtol=1e-3)


@pytest.mark.parametrize(
    "pixels",
    [
        np.linspace(0, 1, 9),
        np.array([0.0, 1.0, 1.0]),
        np.array([0.5, 3.0]),
        np.array([np.nan, 2.0]),
    ],
    ids=["unit", "black and white", "halves", "nan"],
)
def test_pixels_that_are_not_whole_are_refused(pixels):
    with pytest.raises(ValueError, match=r"whole numbers.*numpy.rint\(16 \* pixels\)"):
        PixelTransform(levels=17).dequantise(pixels, key=jax.random.key(0))
    whole = PixelTransform(levels=17).dequantise(np.array([0.0, 16.0]), key=jax.random.key(0))
    assert float(whole[1]) > 0.9


def test_a_file_of_pixels_or_of_what_a_flow_sees_is_told_apart():
    transform, key = PixelTransform(levels=17, alpha=0.05), jax.random.key(1)
    pixels = np.random.default_rng(0).integers(0, 17, size=(5, 4, 4))
    z = transform.forward(transform.dequantise(pixels, key=key))
    np.testing.assert_array_equal(transform.from_file(jnp.asarray(pixels, float), key=key), z)
    np.testing.assert_array_equal(transform.from_file(z, key=key), z)
    for wrong in (pixels / 16, pixels / 17, pixels + 0.3):
        with pytest.raises(ValueError, match="whole numbers"):
            transform.from_file(jnp.asarray(wrong, float), key=key)
    with pytest.raises(ValueError, match="between 0 and 16"):
        transform.from_file(jnp.asarray(3.0 * pixels), key=key)


def test_pixels_outside_are_refused():
    with pytest.raises(ValueError, match="between 0 and 16, got 0 to 17"):
        PixelTransform(levels=17).dequantise(np.array([0, 17]), key=jax.random.key(0))
    with pytest.raises(ValueError, match="`levels` must be at least 2"):
        PixelTransform(levels=1)
    with pytest.raises(ValueError, match="`alpha` must be in"):
        PixelTransform(alpha=0.5)
    with pytest.raises(ValueError, match="`scale` must be positive"):
        PixelTransform(scale=0.0)


def idx(array):
    return (
        struct.pack(">HBB", 0, 8, array.ndim)
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def test_idx_files_are_read_gzipped_or_not(tmp_path):
    train, test = np.arange(24).reshape(2, 3, 4), np.arange(12).reshape(1, 3, 4)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(train))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(test)))
    found = data.images("mnist", tmp_path)
    np.testing.assert_array_equal(found[0], train)
    np.testing.assert_array_equal(found[1], test)
    (tmp_path / "short").write_bytes(idx(train)[:-1])
    with pytest.raises(ValueError, match="truncated or corrupt"):
        data.load_idx(tmp_path / "short")
    (tmp_path / "other").write_bytes(b"PK\x03\x04....")
    with pytest.raises(ValueError, match="not an IDX file"):
        data.load_idx(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="has no train-images-idx3-ubyte"):
        data.images("mnist", tmp_path / "none")
    with pytest.raises(ValueError, match="must be digits, mnist or fashion-mnist, got 'cifar'"):
        data.images("cifar")


def test_smaller_images_hold_the_means_of_blocks(tmp_path, monkeypatch):
    train = np.random.default_rng(0).integers(0, 256, size=(3, 4, 4))
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    for part in ("train", "t10k"):
        (tmp_path / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(idx(train))
    small, _ = data.images("mnist", side=2)
    assert small.shape == (3, 2, 2)
    np.testing.assert_allclose(small[1, 0, 1], train[1, :2, 2:].mean(), atol=0.5)
    with pytest.raises(ValueError, match="`side` must divide 4"):
        data.images("mnist", side=3)
    for part in ("train", "t10k"):
        wide = np.zeros((3, 4, 6), int)
        (tmp_path / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(idx(wide))
    with pytest.raises(ValueError, match="for square images, and those of 'mnist' have 4×6"):
        data.images("mnist", side=2)


def test_digits_come_with_scikit_learn():
    pytest.importorskip("sklearn", reason="needs the images extra")
    train, test = data.images("digits")
    assert (train.shape, test.shape) == ((1437, 8, 8), (360, 8, 8))
    assert train.max() == 16


def test_labels_go_with_their_images(tmp_path):
    for part, size in {"train": 3, "t10k": 2}.items():
        classes = np.arange(size, dtype=np.uint8)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(classes))
    train, test = data.labels("mnist", tmp_path)
    assert (train.tolist(), test.tolist()) == ([0, 1, 2], [0, 1])
    with pytest.raises(FileNotFoundError, match="has no train-labels-idx1-ubyte"):
        data.labels("mnist", tmp_path / "elsewhere")
    pytest.importorskip("sklearn")
    for pixels, classes in zip(data.images("digits"), data.labels("digits"), strict=True):
        assert len(pixels) == len(classes)
        assert set(classes) == set(range(10))


def test_a_failed_download_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path))
    datasets = pytest.importorskip("sklearn.datasets", reason="needs the images extra")

    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(datasets, "fetch_openml", fail)
    with pytest.raises(OSError, match="pass their folder"):
        data.images("mnist")
