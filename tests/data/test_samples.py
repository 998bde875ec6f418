"""Samples: what a user can do with them, and what a file has to be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow.data import Samples, load


@pytest.fixture
def samples():
    points = np.arange(60.0, dtype=np.float32).reshape(10, 3, 2)
    return Samples(points, chains=np.arange(10) % 5)


def test_samples_serve_as_an_array(samples):
    assert len(samples) == 10
    assert samples.shape == (10, 3, 2)
    assert samples.event_shape == (3, 2)
    assert np.asarray(samples).shape == (10, 3, 2)
    np.testing.assert_array_equal(jnp.asarray(samples), samples.points)
    np.testing.assert_array_equal(jnp.sum(jnp.asarray(samples)), 1770)
    assert repr(samples) == "Samples(10 points of shape (3, 2))"


def test_slices_keep_points_and_chains_together(samples):
    np.testing.assert_array_equal(samples[2:5].chains, [2, 3, 4])
    np.testing.assert_array_equal(
        samples[jnp.array([7, 1])].points, samples.points[np.array([7, 1])]
    )
    mask = samples.chains == 3
    assert len(samples[mask]) == 2
    np.testing.assert_array_equal(samples[-1], samples.points[9])
    assert len(list(samples)) == 10
    with pytest.raises(IndexError, match="out of range"):
        samples[10]


def test_split_keeps_chains_whole_where_it_can(samples):
    train, test = samples.split(4, jax.random.key(0))
    assert (len(train), len(test)) == (6, 4)
    assert set(train.chains.tolist()).isdisjoint(test.chains.tolist())


def test_the_first_training_points_come_from_many_chains():
    chains = np.arange(1000) % 50
    train, _ = Samples(np.arange(1000.0), chains).split(100, jax.random.key(0))
    assert train.chains is not None
    assert len(set(train.chains[:20].tolist())) > 10


def test_split_of_independent_points_is_a_partition():
    train, test = Samples(np.arange(20.0)).split(5, jax.random.key(1))
    together = np.sort(np.concatenate([np.asarray(train), np.asarray(test)]))
    np.testing.assert_array_equal(together, np.arange(20.0))


@pytest.mark.parametrize("n_test", [0, 10])
def test_split_refuses_an_empty_side(samples, n_test):
    with pytest.raises(ValueError, match="between 1 and 9"):
        samples.split(n_test, jax.random.key(0))


def test_empty_or_unlabelled_sets_are_refused():
    with pytest.raises(ValueError, match=r"shape \(n, \*event\)"):
        Samples(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="one label for each"):
        Samples(np.zeros((3, 2)), chains=[0, 1])


def test_a_saved_set_is_loaded_as_it_was(samples, tmp_path):
    samples.save(tmp_path / "s.npz")
    back = load(tmp_path / "s.npz", event_shape=(3, 2))
    np.testing.assert_array_equal(back.points, samples.points)
    np.testing.assert_array_equal(back.chains, samples.chains)
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        samples.save(tmp_path / "s.txt")


def test_flat_files_are_reshaped_to_the_event(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((7, 6)))
    assert load(tmp_path / "flat.npy", event_shape=(3, 2)).shape == (7, 3, 2)
    assert load(tmp_path / "flat.npy").points.dtype == jnp.float32


def test_an_array_of_an_archive_is_picked_by_name(tmp_path):
    np.savez(tmp_path / "many.npz", train=np.ones((3, 2)), test=np.zeros((2, 2)))
    assert load(tmp_path / "many.npz", key_name="train").shape == (3, 2)
    with pytest.raises(ValueError, match="train, test; got None"):
        load(tmp_path / "many.npz")
    np.savez(tmp_path / "one.npz", anything=np.ones((3, 2)))
    assert load(tmp_path / "one.npz").shape == (3, 2)


def bad_files(folder):
    np.save(folder / "shape.npy", np.zeros((4, 5)))
    np.save(folder / "nan.npy", np.array([[0.0, 0, 0, 0, 0, 0], [0, np.nan, 0, 0, 0, 0]]))
    np.save(folder / "text.npy", np.array([["a"]]))
    np.save(folder / "empty.npy", np.zeros((0, 6)))
    np.save(folder / "pickle.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(folder / "whole.npy", np.zeros((100, 6)))
    (folder / "cut.npy").write_bytes((folder / "whole.npy").read_bytes()[:-100])
    np.savez(folder / "whole.npz", points=np.zeros((100, 6)))
    (folder / "cut.npz").write_bytes((folder / "whole.npz").read_bytes()[:-300])
    (folder / "nothing.npy").write_bytes(b"")
    (folder / "table.csv").write_text("1,2")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shape.npy", r"points of shape \(3, 2\), got an array of shape \(4, 5\)"),
        ("nan.npy", "NaN or infinity in 1 of 2 points, first at index 1"),
        ("text.npy", "real numbers"),
        ("empty.npy", "n ≥ 1"),
        ("pickle.npy", "pickled objects, which are refused"),
        ("cut.npy", "truncated"),
        ("cut.npz", "truncated"),
        ("nothing.npy", "truncated"),
        ("table.csv", "must end in .npy or .npz"),
    ],
)
def test_bad_files_are_refused_with_the_reason(tmp_path, name, message):
    bad_files(tmp_path)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / name, event_shape=(3, 2))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.npy"):
        load(tmp_path / "gone.npy")
