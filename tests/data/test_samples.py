"""Samples: what a user can do with them, and what a file has to be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow.data import (
    Samples,
    SuspiciousDataWarning,
    load,
    shared_points,
    warn_if_suspicious,
)


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


def test_no_chain_is_on_both_sides_of_a_split():
    chains = np.repeat(np.arange(20), 50)
    train, test = Samples(np.arange(1000.0), chains).split(130, jax.random.key(0))
    assert len(test) == 130
    # Three chains are held out, and what they have beyond 130 points is left out.
    assert len(train) == 850
    assert train.chains is not None
    assert test.chains is not None
    assert set(train.chains.tolist()).isdisjoint(test.chains.tolist())


def test_a_split_that_needs_points_of_every_chain_is_refused():
    with pytest.raises(ValueError, match="samples of all 3 chains"):
        Samples(np.arange(30.0), np.arange(30) % 3).split(21, jax.random.key(0))
    with pytest.warns(SuspiciousDataWarning, match="all samples are of one chain"):
        Samples(np.arange(30.0), np.zeros(30, int)).split(10, jax.random.key(0))


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


def test_samples_of_samples_have_what_these_have():
    labels = np.arange(6) % 2
    first = Samples(np.zeros((6, 2)), labels, None, "somewhere", labels, ("a", "b"))
    again = Samples(first)
    assert (again.origin, again.classes) == ("somewhere", ("a", "b"))
    for found in (again.chains, again.condition):
        np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(Samples(first, chains=labels + 1).chains, labels + 1)


def test_numbers_beyond_single_precision_are_refused(tmp_path):
    """They would be infinite."""
    np.save(tmp_path / "far.npy", np.full((3, 2), 1e39))
    with pytest.raises(ValueError, match="holds NaN or infinity in 3 of 3 points"):
        load(tmp_path / "far.npy")


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


def test_labels_of_another_length_are_refused(tmp_path):
    np.savez(tmp_path / "s.npz", points=np.zeros((4, 2)), chains=np.arange(3))
    with pytest.raises(ValueError, match=r"one label for each of 4 points, got shape \(3,\)"):
        load(tmp_path / "s.npz")


@pytest.mark.parametrize(
    ("shape", "cure"),
    [((2, 4, 4, 3), r"numpy.transpose\(points, \(0, 3, 1, 2\)\)"), ((2, 1, 3, 4, 4), "reshape")],
    ids=["channels last", "one axis too many"],
)
def test_points_with_other_axes_are_refused_with_the_cure(tmp_path, shape, cure):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(ValueError, match=cure):
        load(tmp_path / "a.npy", event_shape=(3, 4, 4))


def trajectory():
    """A walk that forgets a tenth of where it was at every step."""
    rng, x = np.random.default_rng(0), np.zeros((500, 3))
    for i in range(1, 500):
        x[i] = 0.9 * x[i - 1] + rng.normal(size=3)
    return x


FEW = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)


def near_copies():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(20, 12)), 20, axis=0) + 1e-4 * rng.normal(size=(400, 12))
    return rng.permutation(x)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (trajectory(), "successive points are nearer"),
        (near_copies(), "near-copies"),
        (np.ones((40, 2)), "only 1 of 40 points are distinct"),
        (np.float32(1e6) + FEW, "digits"),
    ],
    ids=["trajectory", "copies", "one point", "far"],
)
def test_points_that_are_hardly_what_they_seem_are_told_of(points, words):
    with pytest.warns(SuspiciousDataWarning, match=words):
        warn_if_suspicious(points)


@pytest.mark.parametrize("dim", [1, 2, 30])
@pytest.mark.parametrize("size", [3, 20, 400])
def test_independent_points_are_not_suspicious(size, dim):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        warn_if_suspicious(rng.normal(size=(size, dim)).astype(np.float32))
        warn_if_suspicious(20 * rng.choice([-1, 1], (size, 1)) + rng.normal(size=(size, dim)))


def test_labelled_chains_are_not_suspicious():
    warn_if_suspicious(Samples(trajectory(), np.arange(500) // 100))
    warn_if_suspicious(near_copies(), np.arange(400) % 20)


def test_shared_points_are_counted():
    points = np.arange(12.0).reshape(6, 2)
    assert shared_points(points, np.concatenate([points[2:4], points + 1])) == 2


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
        ("table.csv", "must end in one of .npy, .npz"),
    ],
)
def test_bad_files_are_refused_with_the_reason(tmp_path, name, message):
    bad_files(tmp_path)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / name, event_shape=(3, 2))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.npy"):
        load(tmp_path / "gone.npy")
