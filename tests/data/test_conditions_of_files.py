"""Conditions beside points in files: classes by numbers or words, vectors, and what is neither."""

import numpy as np
import pytest

from hiflow import data
from hiflow.data import Samples

N = 12
RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(N, 2))
WORDS = np.asarray(["oak", "ash", "elm"])[np.arange(N) % 3]
HEAT = np.linspace(0.5, 2.0, N)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("all.npz", points=POINTS, tree=WORDS, number=10 * (np.arange(N) % 3), heat=HEAT)
    np.save("points.npy", POINTS)
    np.save("heat.npy", HEAT)
    lines = [f"{tree}, {heat}, {k}" for k, (tree, heat) in enumerate(zip(WORDS, HEAT, strict=True))]
    (tmp_path / "beside.csv").write_text("\n".join(["tree, heat, place", *lines]) + "\n")


def rows(samples):
    assert samples.condition is not None
    return samples.condition


def names(samples):
    """The class of every point."""
    assert samples.classes is not None
    return np.asarray(samples.classes)[rows(samples)].tolist()


@pytest.mark.parametrize(
    ("file", "beside", "name"),
    [
        ("all.npz", None, "tree"),
        ("points.npy", "beside.csv", "tree"),
        ("points.npy", "all.npz", "tree"),
    ],
)
def test_words_are_classes_in_the_order_of_the_alphabet(file, beside, name):
    found = data.load(file, condition=name, condition_file=beside)
    assert found.classes == ("ash", "elm", "oak")
    assert names(found) == WORDS.tolist()
    np.testing.assert_allclose(found.points, POINTS, rtol=1e-6)


def test_whole_numbers_are_classes_by_their_order_and_floats_are_vectors():
    found = data.load("all.npz", condition="number")
    assert found.classes == ("0", "10", "20")
    np.testing.assert_array_equal(found.condition, np.arange(N) % 3)
    for name, file in (("heat", None), (None, "heat.npy")):
        found = data.load("all.npz", condition=name, condition_file=file)
        assert found.classes is None
        np.testing.assert_allclose(rows(found), HEAT, rtol=1e-6)
    both = data.load("points.npy", condition=["heat", "place"], condition_file="beside.csv")
    np.testing.assert_allclose(rows(both), np.stack([HEAT, np.arange(N)], 1), rtol=1e-6)


def test_conditions_stay_with_their_points():
    found = data.load("all.npz", condition="heat", frames=[2, 12, 2])
    np.testing.assert_allclose(rows(found), HEAT[2:12:2], rtol=1e-6)
    two = data.load(["all.npz", "all.npz"], condition="tree")
    assert names(two) == np.tile(WORDS, 2).tolist()
    two[::3].save("again.npz")
    again = data.load("again.npz", condition="condition")
    assert names(again) == np.tile(WORDS, 2)[::3].tolist()
    assert found.untold().condition is None
    np.testing.assert_array_equal(found.moved(found.points + 1).condition, found.condition)


def test_names_with_underscores_are_words_and_numbers_too_large_are_refused(tmp_path):
    (tmp_path / "names.csv").write_text("of\n" + "\n".join(["1_0", "2"] * (N // 2)) + "\n")
    found = data.load("points.npy", condition="of", condition_file="names.csv")
    assert found.classes == ("1_0", "2")
    np.save("far.npy", np.full(N, 1e39))
    with pytest.raises(ValueError, match="holds NaN or infinity in 12 of 12 conditions"):
        data.load("points.npy", condition_file="far.npy")
    with pytest.raises(ValueError, match="`classes` must be the names, a list of them; got 'ash'"):
        data.load("all.npz", condition="tree", classes="ash")


def test_numbers_of_classes_are_those_of_the_samples_that_were_saved_or_trained_on():
    """Twelve classes by their numbers: neither the alphabet nor a class without points changes one."""
    train = data.Samples(POINTS, condition=np.arange(N) % 12, classes=[str(k) for k in range(12)])
    for part in (train, train[3:7]):
        part.save("twelve.npz")
        again = data.load("twelve.npz", condition="condition")
        assert again.classes == train.classes
        np.testing.assert_array_equal(again.condition, part.condition)
    np.savez("test.npz", points=POINTS[:2], tree=["oak", "elm"])
    found = data.load("test.npz", condition="tree", classes=("ash", "elm", "oak"))
    assert found.classes == ("ash", "elm", "oak")
    np.testing.assert_array_equal(found.condition, [2, 1])
    with pytest.raises(ValueError, match=r"holds the class 'oak', and `classes` are ash, elm"):
        data.load("test.npz", condition="tree", classes=("ash", "elm"))
    with pytest.raises(ValueError, match=r"`classes` are names of a `condition`'s"):
        data.load("test.npz", classes=("ash", "elm"))


def test_what_frames_of_atoms_tell_is_their_condition():
    pytest.importorskip("ase", reason="reads frames of atoms")
    import ase.io

    frames = [ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.7 + 0.01 * k]]) for k in range(4)]
    for k, frame in enumerate(frames):
        frame.info |= {"kelvin": 300.0 + k, "phase": "hot" if k > 1 else "cold"}
    ase.io.write("h2.extxyz", frames)
    warm = data.load("h2.extxyz", condition="kelvin", frames=[1, 4])
    np.testing.assert_allclose(rows(warm), [301, 302, 303])
    phase = data.load("h2.extxyz", condition="phase")
    assert phase.classes == ("cold", "hot")
    np.testing.assert_array_equal(phase.condition, [0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"must name what .*kelvin.*got 'kelvins'.*'kelvin'"):
        data.load("h2.extxyz", condition="kelvins")


BAD = {
    "short": np.arange(N - 1),
    "negative": np.arange(N) % 3 - 1,
    "holes": np.where(np.arange(N) == 4, np.nan, HEAT),
    "one_hot": np.eye(3, dtype=int)[np.arange(N) % 3],
    "blank": np.where(np.arange(N) == 4, "", WORDS),
    "complex": HEAT + 0j,
}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"condition": "short"}, r"one row for each of 12 points; got shape \(11,\)"),
        ({"condition": "negative"}, "whole numbers from 0, or words; got -1"),
        ({"condition": "holes"}, "in 1 of 12 conditions, first at index 4"),
        ({"condition": "one_hot"}, "argmax"),
        ({"condition": "blank"}, "point 4 has no class"),
        ({"condition": "complex"}, "classes .* or vectors of floats; got complex"),
        ({"condition": "shorts"}, "got 'shorts'.*'short'"),
        ({"condition": ["short", "holes"]}, "one row for each"),
        ({"condition_file": "wide.csv"}, "must name what the file tells"),
        ({"condition": "b", "condition_file": "gap.csv"}, "line 3 must have a value for each"),
        ({"condition_file": "bare.csv"}, "must begin with a line of names"),
        ({"condition_file": "none.csv"}, "no file 'none.csv'"),
        ({"condition_file": "notes.txt"}, r"must end in one of \.npy, \.npz, \.csv"),
        ({"condition_file": ["wide.csv", "wide.csv"]}, "one for each of 1 files, got 2"),
        ({"condition_file": "torn.npz"}, "can't be read"),
    ],
)
def test_what_is_no_condition_is_refused_by_name(place, given, words, tmp_path):
    np.savez("bad.npz", points=POINTS, **BAD)
    (tmp_path / "wide.csv").write_text("a,b\n" + "1,2\n" * N)
    (tmp_path / "gap.csv").write_text("a,b\n1,2\n1,\n" + "1,2\n" * (N - 2))
    (tmp_path / "bare.csv").write_text("1\n" * (N + 1))
    (tmp_path / "notes.txt").write_text("1\n")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        data.load("bad.npz", key_name="points", **given)


@pytest.mark.parametrize(
    ("condition", "classes", "words"),
    [
        (np.arange(3), None, "one row for each of 12"),
        (np.arange(N) % 3, ("a", "b"), "names 2 classes"),
        (HEAT, ("a", "b"), "names 2 classes"),
        (None, ("a", "b"), "names 2 classes"),
    ],
)
def test_samples_refuse_conditions_of_other_points(condition, classes, words):
    with pytest.raises(ValueError, match=words):
        Samples(POINTS, condition=condition, classes=classes)


def test_the_points_are_the_array_that_is_no_condition():
    np.savez("two.npz", x=POINTS, heat=HEAT)
    found = data.load("two.npz", condition="heat")
    np.testing.assert_allclose(found.points, POINTS, rtol=1e-6)
