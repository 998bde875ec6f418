"""Numbers of a path that are learned: where they stand, what proposes them, and that the least NLL
decides."""

import json
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import hiflow as hf
from hiflow.training._evidence import Surroundings
from hiflow.training._likeliest import likeliest
from hiflow.training._preflight import make_components, make_ready
from hiflow.training._ranges import Range, number_at, ranges_of, with_numbers
from hiflow.training._trials import Trials

KEY = jax.random.key(0)
RING = hf.energies.Ring()
POINTS = hf.data.sample(RING, key=jax.random.key(1), size=12, progress=False).points
SMALL = {"name": "mlp", "width": 8, "depth": 1}
PATH = {"name": "relaxed", "hessian": "analytic", "curvature": "affine-power"}
LEARN = {"curvature": {"floor": [0.1, 100.0]}, "step": [0.05, 1.0]}
BEST = {"floor": 3.0, "step": 0.4}


def learned(path: Any = None, points: Any = POINTS, **changes):
    given = {"prior": "normal", "energy": RING, "key": KEY, "learn": LEARN, "progress": False}
    fast: dict[str, Any] = {"folds": 2, "steps": 8, "batch_size": 16}
    fast["solver_settings"] = {"method": "Heun", "steps": 3}
    return hf.learn_path(SMALL, path or PATH, points, **{**given, **fast, **changes})


def bowl(floor, step):
    """A score that is least at known numbers, without training."""
    return float((np.log(floor) - np.log(BEST["floor"])) ** 2 + 4 * (step - BEST["step"]) ** 2)


def scored(trials, candidate, steps, k, seen, left_out):
    """In place of a trial: what isn't finite and what fails lies beside the least."""
    law = trials.path(candidate).end_law
    floor, step = float(law.curvature.floor), float(law.step)
    if floor > 5:
        raise FloatingPointError("too narrow")
    value = np.nan if step < 0.1 else bowl(floor, step)
    return np.full(len(left_out), value)


def test_a_range_is_even_in_the_logarithm_above_zero_and_its_shares_lead_back():
    ratios, steps = Range(("a", "b"), 0.1, 10.0), Range(("c",), -1.0, 3.0)
    np.testing.assert_allclose(ratios.at(np.array([0, 0.25, 0.5, 1])), [0.1, 10**-0.5, 1, 10])
    np.testing.assert_allclose(steps.at(np.array([0, 0.25, 1])), [-1, 0, 3])
    for each in (ratios, steps):
        for share in (0.0, 0.3, 1.0):
            assert each.share(each.at(share)) == pytest.approx(share)
        assert (each.share(-99.0), each.share(99.0)) == (0, 1)
    assert Range(("a",), 0.1, 0.123456).rounded(1.0) == 0.123456  # And not 0.1235.


def test_numbers_come_to_stand_in_their_places_and_nothing_else_changes():
    table = {"name": "relaxed", "curvature": {"name": "absolute", "shift": 1.0}, "hessian": "dense"}
    before = json.dumps(table)
    found = ranges_of({"step": [0.1, 1], "curvature": {"shift": (0.5, 2)}}, table)
    assert [str(each) for each in found] == ["step", "curvature.shift"]
    made = with_numbers(table, found, [0.3, 1.5])
    expected = {**table, "curvature": {"name": "absolute", "shift": 1.5}, "step": 0.3}
    assert (made, json.dumps(table)) == (expected, before)
    assert [number_at(table, each) for each in found] == [None, 1.0]
    assert [number_at(made, each) for each in found] == [0.3, 1.5]
    short = with_numbers({"name": "relaxed", "curvature": "absolute"}, found, [0.3, 1.5])
    assert short["curvature"] == {"name": "absolute", "shift": 1.5}


def left_out(x, hessians, gradients, floor, step):
    """Of every point by all other points' end laws, with a hundredth of a broad Gaussian."""
    variance: Any = np.mean(np.sum((x - x.mean(0)) ** 2, axis=1)) / x.shape[1]
    broad = multivariate_normal.logpdf(x, x.mean(0), variance * np.eye(x.shape[1]))
    laws = np.full((len(x), len(x)), -np.inf)
    for j in range(len(x)):
        values, q = np.linalg.eigh(hessians[j])
        c = q @ np.diag(1 / (np.abs(values) + floor)) @ q.T
        mean, width = x[j] - step * c @ gradients[j], step * (2 - step) * c
        others = np.arange(len(x)) != j
        laws[others, j] = multivariate_normal.logpdf(x[others], mean, width)
    narrow = logsumexp(laws, axis=1) - np.log(len(x) - 1)
    return -np.mean(np.logaddexp(np.log(0.99) + narrow, np.log(0.01) + broad))


def surroundings(network: Any, prior: Any, energy: Any, points):
    parts = make_components(network, "optimal-transport", prior, energy, points.shape[1:], KEY)
    return Surroundings(make_ready(*parts, hf.Training()), points, KEY)


def test_end_laws_propose_numbers_that_are_likelier_than_any_of_a_grid():
    around = surroundings(SMALL, "normal", RING, POINTS)
    ranges = ranges_of(LEARN, PATH)
    found, words = likeliest(around, PATH, ranges, np.array([0.3, 0.8]))
    assert found is not None
    x = np.asarray(POINTS, float)
    hessians = np.asarray(jax.vmap(jax.hessian(RING))(POINTS), float)
    gradients = np.asarray(jax.vmap(jax.grad(RING))(POINTS), float)

    def score(shares):
        floor, step = (each.at(share) for each, share in zip(ranges, shares, strict=True))
        return left_out(x, hessians, gradients, floor, step)

    shares = np.linspace(0, 1, 9)
    grid = [score((a, b)) for a in shares for b in shares]
    assert score(found) < min(grid) + 1e-3
    assert f"have an NLL of {score(found):.3f}, and had {score([0.3, 0.8]):.3f}" in words


def test_where_end_laws_say_nothing_trials_alone_decide():
    around = surroundings(SMALL, "normal", RING, POINTS)
    table = {"name": "linearised", "rates": "saturating"}
    start = np.array([0.5])
    found, words = likeliest(around, table, ranges_of({"rates": {"kappa": [0, 2]}}, table), start)
    assert (found, words) == (None, "there is no end law to score")
    table = {**PATH, "hessian": {"name": "lanczos", "k": 1}}
    ranges = ranges_of({"hessian": {"tolerance": [1e-4, 1e-2]}}, table)
    found, words = likeliest(around, table, ranges, start)
    assert (found, words) == (None, "end laws aren't scored: their Hessians are learned")
    particles = hf.energies.DoubleWellParticles.preset("dw4")
    network = {"name": "egnn", "width": 4, "depth": 1}
    turned = surroundings(network, "centred-normal", particles, jax.random.normal(KEY, (3, 4, 2)))
    found, words = likeliest(turned, PATH, ranges_of({"step": [0.1, 1]}, PATH), start)
    assert (found, words) == (None, "end laws aren't scored: the network's symmetry moves points")


def test_a_search_comes_near_the_least_and_what_fails_is_the_worst(monkeypatch):
    monkeypatch.setattr(Trials, "_nll", scored)
    choice = learned(trials=24)
    law: Any = vars(choice.path)["end_law"]
    floor, step = float(law.curvature.floor), float(law.step)
    assert bowl(floor, step) < 0.02
    assert choice.tried[0].label == "as given"
    assert len(choice.tried) == 24
    numbers = [float(part.split()[-1]) for row in choice.tried[1:] for part in row.label.split(",")]
    assert all(0.1 <= each <= 100 for each in numbers[::2])
    assert all(0.05 <= each <= 1 for each in numbers[1::2])
    assert any("too narrow" in (row.excluded or "") for row in choice.tried)
    assert sum(8 in row.nll for row in choice.tried) in (3, 4)  # As given, proposed, finalists.
    known = {"energy": RING, "prior_scale": 1.0}
    assert eqx.tree_equal(hf.paths.registry.make(choice.table, **known), choice.path)
    given = bowl(1.0, 0.5)
    assert f"as given it has {given - bowl(floor, step):+.3f} ± 0.000." in choice.reason
    assert str(choice).endswith(f"{choice.label}: {choice.reason}")
    assert "virial" not in str(choice)


def test_the_path_as_given_stays_if_nothing_is_better(monkeypatch):
    monkeypatch.setattr(Trials, "_nll", scored)
    best = {**PATH, "curvature": {"name": "affine-power", "floor": 3.0}, "step": 0.4}
    choice = learned(best, trials=4)
    assert choice.label == "as given: floor 3, step 0.4"
    assert "none of 3 other trials is better" in choice.reason
    assert choice.table == best


def test_a_choice_that_was_cut_short_goes_on_with_the_trials_that_are_kept(tmp_path, monkeypatch):
    made = []

    def counted(trials, candidate, steps, k, *points):
        if len(made) == 6:
            raise KeyboardInterrupt
        made.append((candidate.label, steps, k))
        return scored(trials, candidate, steps, k, *points)

    monkeypatch.setattr(Trials, "_nll", scored)
    whole = learned(trials=6)
    monkeypatch.setattr(Trials, "_nll", counted)
    with pytest.raises(KeyboardInterrupt):
        learned(trials=6, folder=tmp_path)
    first = list(made)
    made[:] = [("", 0, 0)] * 7
    again = learned(trials=6, folder=tmp_path)
    assert str(again) == str(whole)
    assert not set(first) & set(made)
    made.clear()
    assert str(learned(trials=6, folder=tmp_path)) == str(whole)
    assert all(label.startswith("floor 17.78") for label, *_ in made)  # What failed is tried again.
    with pytest.raises(KeyboardInterrupt):  # Other points: the trials are others.
        learned(points=POINTS[:10], trials=6, folder=tmp_path)
    assert len(made) == 6
    made[:] = [("", 0, 0)] * 7
    (tmp_path / "trials.json").write_text('{"asked"')
    with pytest.warns(UserWarning, match=r"trials.json: damaged.*made anew"):
        assert str(learned(trials=6, folder=tmp_path)) == str(whole)


def test_trained_flows_are_judged_by_the_points_that_are_left_out():
    choice = learned(trials=2, finalists=1, folder=None)
    nll = {(row.label, steps): each for row in choice.tried for steps, each in row.nll.items()}
    assert all(np.isfinite(each) for each in nll.values())
    assert {steps for _, steps in nll} == {2, 8}
    few = hf.choose_path(
        SMALL,
        POINTS,
        prior="normal",
        energy=RING,
        key=KEY,
        paths={"as given": PATH},
        folds=2,
        steps=8,
        batch_size=16,
        solver_settings={"method": "Heun", "steps": 3},
        progress=False,
    )
    assert few.tried[0].nll[8] == nll[("as given", 8)]


CURVED = {**PATH, "curvature": {"name": "absolute", "shift": 1.0}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learn": {}}, "`learn` must say what is learned"),
        ({"learn": None}, "learn_path: `learn` must be a table of bounds"),
        ({"learn": [0.1, 1.0]}, "`learn` must be a table of bounds"),
        ({"learn": {"step": 0.5}}, "`learn.step` must be two finite numbers, the lower bound"),
        ({"learn": {"step": [0.5, 0.5]}}, r"`learn.step` must be .*; got \[0.5, 0.5\]"),
        ({"learn": {"step": [0.1, float("nan")]}}, "`learn.step` must be two finite numbers"),
        ({"learn": {"step": [True, 2]}}, "`learn.step` must be two finite numbers"),
        ({"learn": {"step": ["a", "b"]}}, "`learn.step` must be two finite numbers"),
        ({"learn": {"step": [0.1, 2.0]}}, "`learn`: step can't be 2. .*`step` must be at most 1"),
        ({"learn": {"stop": [0.1, 2.0]}}, "takes no argument 'stop'; did you mean 'step'"),
        ({"learn": {"rates": {"value": [0.4, 2]}}}, "is a number of `rates`, which `path` must"),
        (
            {"path": {**CURVED, "rates": "constant"}, "learn": {"rates": {"value": [0.4, 2]}}},
            "rates.value can't be 0.4. rates must exceed 1/2",
        ),
        ({"path": hf.paths.Relaxed(RING)}, "`path` must be a name or a table"),
        ({"path": "relaxt"}, "did you mean 'relaxed'"),
        ({"trials": 0}, "`trials` must be a whole number, at least 1"),
        ({"finalists": "two"}, "`finalists` must be a whole number"),
        ({"folds": 13}, "learn_path: `data` must have at least 13 points"),
        ({"folder": 3}, "`folder` must be a folder's name"),
        ({"points": POINTS.at[0].set(jnp.inf)}, "learn_path: `data` holds NaN"),
        ({"key": 0}, "learn_path: `key` must be a PRNG key"),
    ],
)
def test_what_is_wrong_is_refused_by_name(monkeypatch, changes, words):
    def trained(*_):
        raise AssertionError("something was trained")

    monkeypatch.setattr(Trials, "_nll", trained)
    with pytest.raises((ValueError, hf.RegistryError), match=words):
        learned(**changes)


def test_a_file_in_the_folders_place_is_refused_before_any_trial(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ValueError, match=r"`folder` must be a folder, and '.*taken' is a file"):
        learned(folder=tmp_path / "taken")
