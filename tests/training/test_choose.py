"""The choice of a path: what it looks at, what it leaves out, and that their least NLL decides."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import hiflow as hf
from hiflow.training._candidates import Candidate, candidates
from hiflow.training._choose import _choice, _with_judges
from hiflow.training._evidence import Surroundings, exact_hessian, left_out, seen
from hiflow.training._moved import _memory, judges, moved
from hiflow.training._preflight import in_units, make_components, make_ready
from hiflow.training._scores import Row
from hiflow.training._trials import Trials, splits_of, trials_of

KEY = jax.random.key(0)
RING = hf.energies.Ring()
POINTS = hf.data.sample(RING, key=jax.random.key(1), size=12, progress=False).points
FAST = {"solver_settings": {"method": "Heun", "steps": 3}, "progress": False, "prior": "normal"}
SMALL = {"name": "mlp", "width": 8, "depth": 1}
LESS = {"folds": 2, "finalists": 1, "steps": 8, "batch_size": 16, "key": KEY}
TWO = {"straight": "optimal-transport", "wide": {"name": "optimal-transport", "sigma_min": 0.5}}


def normal(x, mean, covariance: Any):
    return multivariate_normal.logpdf(x, mean, covariance)


def chosen(points=POINTS, **changes):
    return hf.choose_path(SMALL, points, **{**FAST, **LESS, **changes})


def around(points, energy: object = RING, **settings):
    known: Any = energy
    parts = make_components(SMALL, "optimal-transport", "normal", known, points.shape[1:], KEY)
    ready = make_ready(*parts, hf.Training(**settings))
    return Surroundings(ready, points, KEY)


@pytest.fixture(scope="module")
def ring_choice():
    return chosen(energy=RING)


def test_every_point_is_left_out_once_and_never_trained_on():
    for folds, n in ((5, 13), (2, 4), (None, 30)):
        parts = list(splits_of(n, None, folds, KEY))
        assert sorted(np.concatenate([out for _, out in parts])) == list(range(n))
        assert all(sorted([*train, *out]) == list(range(n)) for train, out in parts)
    ((train, out),) = splits_of(400, None, None, KEY)
    assert (len(out), len(train)) == (80, 320)
    assert len(next(iter(splits_of(5_000, None, None, KEY)))[1]) == 256


def test_chains_are_left_out_whole():
    chains = np.repeat([7, 3, 9, 4], 5)
    for train, out in splits_of(20, chains, 2, KEY):
        assert not set(chains[train]) & set(chains[out])
        assert len(out) == 10


def test_several_chains_are_left_out_so_that_scores_have_an_error():
    for number, parts, at_once in ((4, 4, 1), (12, 1, 2), (128, 1, 8)):
        chains = np.repeat(np.arange(number), 100)
        outs = [np.unique(chains[out]) for _, out in splits_of(len(chains), chains, None, KEY)]
        assert [len(out) for out in outs] == parts * [at_once]
        assert parts * at_once >= 2


def test_left_out_points_are_scored_by_the_others_end_laws():
    path = hf.paths.Relaxed(RING, curvature=hf.spectral.Absolute(2.0), step=0.7)
    x, expected = np.asarray(POINTS, float), []
    hessians = np.asarray(jax.vmap(jax.hessian(RING))(POINTS), float)
    gradients = np.asarray(jax.vmap(jax.grad(RING))(POINTS), float)
    variance = np.mean(np.sum((x - x.mean(0)) ** 2, axis=1)) / 2
    for i in range(len(x)):
        laws = []
        for j in range(len(x)):
            if j != i:
                values, q = np.linalg.eigh(hessians[j])
                c = q @ np.diag(1 / (np.abs(values) + 2)) @ q.T
                laws.append(normal(x[i], x[j] - 0.7 * c @ gradients[j], 0.7 * 1.3 * c))
        broad = normal(x[i], x.mean(0), variance * np.eye(2))
        narrow = logsumexp(laws) - np.log(len(laws))
        expected.append(-np.logaddexp(np.log(0.99) + narrow, np.log(0.01) + broad))
    np.testing.assert_allclose(left_out(path, POINTS), np.mean(expected), rtol=1e-4)


def test_in_standardised_coordinates_an_energy_has_the_hessian_that_it_has():
    """Tables are read beside the energy itself."""
    plain = hf.energies.FunctionEnergy(lambda x: RING(x), (2,))
    units = hf.Standardised(2.0, 1.0)
    assert [exact_hessian(each) for each in (RING, units.energy(RING))] == ["analytic"] * 2
    assert [exact_hessian(each) for each in (plain, units.energy(plain))] == ["dense"] * 2
    inside, own = in_units(around(POINTS, plain, standardise=True).ready, POINTS)
    assert own is not None
    found = Surroundings(inside, jax.vmap(own)(POINTS), KEY)
    rows = list(candidates(found, seen(found)))
    assert len(rows) > 4
    assert not [row.label for row in rows if "it fails" in (row.excluded or "")]
    for row in rows:
        hf.paths.registry.make(row.path, energy=plain, prior_scale=1.0)


def test_copies_of_points_are_no_nearer_points():
    """Nor are points far from the origin copies of each other."""
    for points in (POINTS, POINTS + 1e4):
        expected = seen(around(points)).spacing
        np.testing.assert_allclose(seen(around(jnp.repeat(points, 2, axis=0))).spacing, expected)
    np.testing.assert_allclose(seen(around(jnp.tile(POINTS[:1], (4, 1)))).spacing, 0.5**0.5)


def test_points_in_the_order_of_a_trajectory_are_seen_from_its_beginning_to_its_end():
    """Of these the first 300 are a hundred times as near to each other."""
    rng = np.random.default_rng(0)
    x = np.concatenate([0.01 * rng.normal(size=(300, 2)), 3 + rng.normal(size=(900, 2))])
    found, mixed = (
        seen(around(jnp.asarray(each, jnp.float32))).spacing for each in (x, rng.permutation(x))
    )
    assert 0.5 < found / mixed < 2


def test_the_evidence_is_that_of_the_points():
    found = seen(around(POINTS))
    x = np.asarray(POINTS)
    apart = np.linalg.norm(x[:, None] - x, axis=-1) + 1e9 * np.eye(len(x))
    np.testing.assert_allclose(found.spacing, np.median(apart.min(1)) / 2**0.5, rtol=1e-3)
    eigenvalues = np.linalg.eigvalsh(np.asarray(jax.vmap(jax.hessian(RING))(POINTS)))
    assert found.negative == pytest.approx((eigenvalues < -1e-3).mean())
    virial = jax.vmap(lambda y: jnp.vdot(y, jax.grad(RING)(y)))(POINTS).mean() / 2
    assert found.virial == pytest.approx(float(virial), rel=1e-4)
    assert (found.size, found.dimensions) == (12, 2)


def test_candidates_are_trained_briefly_and_the_best_to_the_end(ring_choice):
    scores = {
        (row.label, steps): nll for row in ring_choice.tried for steps, nll in row.nll.items()
    }
    assert (ring_choice.label, ring_choice.steps) in scores
    assert {steps for _, steps in scores} == {2, 8}
    assert sum(steps == 8 for _, steps in scores) == 1
    labels = " ".join(row.label for row in ring_choice.tried)
    for kind in ("optimal transport", "isotropic", "at the sample", "at the minimum", "Langevin"):
        assert kind in labels
    (saturating,) = (row for row in ring_choice.tried if row.label == "Saturating")
    assert "there are 12 of them" in saturating.excluded
    assert str(ring_choice).splitlines()[-1] == f"{ring_choice.label}: {ring_choice.reason}"


def test_the_table_makes_the_path(ring_choice):
    known = {"energy": RING, "prior_scale": 1.0}
    assert eqx.tree_equal(hf.paths.registry.make(ring_choice.table, **known), ring_choice.path)


def test_the_same_key_makes_the_same_choice():
    first, again = (chosen(paths=TWO, finalists=2) for _ in range(2))
    assert str(first) == str(again)
    scores = {row.label: row.nll[8] for row in first.tried}
    fewer = {row.label: row.nll[2] for row in first.tried}
    assert first.label == min(TWO, key=lambda label: min(scores[label], fewer[label]))


def test_the_least_decides_and_fewer_steps_only_if_they_are_told_apart():
    a, b = Row(Candidate("a", None)), Row(Candidate("b", None))
    a.nll = {2: np.array([1.0, 2.0, 3.0]), 8: np.array([1.5, 1.0, 4.0])}
    b.nll = {2: np.array([1.0, 2.0, 3.0]), 8: np.array([1.5, 2.6, 3.5])}
    assert (a.steps, b.steps) == (8, 2)
    assert (a.least, b.least) == (pytest.approx(6.5 / 3), 2.0)
    b.nll[8] = np.array([np.nan, 0.0, 0.0])
    assert b.steps == 2


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_reason_tells_after_how_many_steps_each_was_judged(keep):
    ready = around(POINTS, keep=keep, steps=8, validate_at=() if keep == "last" else 2).ready
    trials = Trials(ready, POINTS, [(np.arange(9), np.arange(9, 12))], hf.Solver(), KEY, False)
    a, b = Row(Candidate("a", "cosine")), Row(Candidate("b", "optimal-transport"))
    a.nll = {2: np.array([1.0, 2.0, 3.0]), 8: np.array([1.5, 1.0, 4.0])}
    b.nll = {2: np.array([1.0, 2.0, 3.0]), 8: np.array([1.5, 2.6, 3.5])}
    choice = _choice([a, b], trials, "")
    more = " 8 steps of which validation takes the best" if keep == "best" else ""
    assert (choice.label, choice.steps) == ("b", 8 if keep == "best" else 2)
    assert choice.reason == (
        "2 steps, a mean NLL of 2.000 nats of 3 points that were left out"
        f"{more and f', and{more}'}; of the others a has +0.167 ± 0.601 after 8 steps."
    )
    b.nll[8] = np.array([0.5, 1.5, 2.0])
    assert "8 steps, a mean NLL of 1.333 nats" in _choice([a, b], trials, "").reason
    assert _choice([a, b], trials, "").reason.endswith("of the others a has +0.833 ± 0.726.")


@pytest.mark.parametrize("judge", ["left-out", "moved"])
def test_points_of_one_chain_count_once(judge):
    labels = np.arange(12) % 4
    data = hf.data.Samples(POINTS, labels)
    given = FAST | LESS | {"energy": RING, "training": None}
    del given["finalists"]
    trials = trials_of("choose_path", SMALL, "optimal-transport", data, **given)
    order = np.concatenate([out for _, out in trials.splits])
    if judge == "moved":
        trials, _ = _with_judges(trials, judge, None)
        order = np.arange(12)
    row = Row(Candidate("a", "optimal-transport"))
    trials.score_one(row, 1)
    np.testing.assert_array_equal(row.chains, labels[order])
    more = np.asarray(POINTS[order, 0])
    assert row.error(more) == hf.metrics.standard_error(more, labels[order])
    assert row.told(more).endswith(f"± {row.error(more):.3f}")


class NoHessian(hf.energies.AbstractEnergy):
    """Its gradient can't be differentiated, as a calculation's on another machine."""

    @property
    def event_shape(self):
        return (2,)

    @property
    def group(self):
        return hf.groups.Trivial()

    def __call__(self, x):
        @jax.custom_vjp
        def value(x):
            return jnp.sum(x**2) / 2

        def backward(x, g):
            return (jax.pure_callback(lambda y: np.asarray(y), x, x) * g,)

        value.defvjp(lambda x: (value(x), x), backward)
        return value(x)


@pytest.mark.parametrize("energy", [None, NoHessian()], ids=["none", "no Hessian"])
def test_without_hessians_the_data_alone_decide(energy):
    found = seen(around(POINTS, energy))
    assert found.negative is None
    assert "no energy" in str(found) or "no Hessian" in str(found)
    paths = [each.path for each in candidates(around(POINTS, energy), found)]
    assert [path["name"] for path in paths] == ["optimal-transport"] * 4
    widths = [path.get("sigma_min", 0) for path in paths]
    np.testing.assert_allclose(widths, np.array([0, 0.3, 1, 3]) * found.spacing, rtol=1e-2)


def test_with_plenty_of_points_an_end_law_has_to_be_unbiased():
    energy = hf.energies.Gaussian(jnp.zeros(2), jnp.diag(jnp.array([1.0, 30.0])))
    points = hf.data.sample(energy, key=KEY, size=1_000, progress=False).points
    place = around(points, energy)
    found = {each.label.split(",")[0]: each for each in candidates(place, seen(place))}
    assert list(found) == ["optimal transport", "Relaxed at the sample", "Langevin", "Saturating"]
    relaxed, langevin = found["Relaxed at the sample"], found["Langevin"]
    assert relaxed.virial == pytest.approx(1, abs=0.25)
    assert "twice" in str(langevin.excluded)
    assert found["Saturating"].excluded is None


def test_the_simplest_is_chosen_of_plenty_that_arent_told_apart():
    points = jax.random.normal(KEY, (1_000, 2))
    alike = {"simple": "optimal-transport", "other": {"name": "stable", "rate": 1.01}}
    choice = chosen(points, paths=alike, steps=1, folds=1)
    assert choice.label == "simple"
    wrong = {
        "simple": {"name": "optimal-transport", "sigma_min": 30.0},
        "other": "optimal-transport",
    }
    better = chosen(points, paths=wrong, steps=60, learning_rate=0.03, ema=0.0, warmup=0)
    assert better.label == "other"


def test_one_that_fails_is_left_out_and_its_reason_told():
    broken = {"name": "relaxed", "curvature": {"name": "shifted", "shift": 1.0}}
    choice = chosen(paths={"broken": broken, "straight": "optimal-transport"}, energy=RING)
    assert choice.label == "straight"
    assert "broken: it fails: " in str(choice)
    with pytest.raises(RuntimeError, match="no candidate could be trained"):
        chosen(paths={"broken": broken}, energy=RING)


def test_a_run_that_validation_ends_is_given_all_its_steps():
    choice = chosen(paths=TWO, keep="best", validate_at=2)
    assert choice.steps == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"points": POINTS[:1]}, "`data` must have at least 2 points"),
        ({"folds": 13}, "`data` must have at least 13 points"),
        ({"folds": 0}, "`folds` must be a whole number, at least 1"),
        ({"finalists": 2.5}, "`finalists` must be a whole number"),
        ({"paths": {}}, "`paths` must be a table of paths by their labels"),
        ({"points": POINTS.at[3].set(jnp.nan)}, "`data` holds NaN"),
        ({"key": 3}, "`key` must be a PRNG key"),
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"keep": "best"}, "^choose_path: .*`validate_at`"),
        ({"judge": "move"}, "`judge` must be one of auto, moved, left-out; got 'move'"),
        ({"judge": "moved"}, "takes an `energy` that the data are samples of; there is none"),
    ],
)
def test_what_is_wrong_is_refused_by_name(changes, words):
    with pytest.raises(ValueError, match=words):
        chosen(**changes)


def test_sources_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.asarray(POINTS))
    with pytest.raises(ValueError, match="must be an array or Samples"):
        chosen(np.load(tmp_path / "x.npy", mmap_mode="r"))


@pytest.mark.parametrize("name", ["validation", "checkpoint_dir"])
def test_what_only_a_fit_has_is_refused(name):
    """Or a misspelt setting would be guessed from it."""
    given: Any = {"prior": "normal", "key": KEY, "progress": False, name: POINTS}
    with pytest.raises(TypeError, match=f"choose_path: `{name}` is for hiflow.fit"):
        hf.choose_path("mlp", POINTS, **given)
    with pytest.raises(TypeError, match=f"learn_path: `{name}` is for hiflow.fit"):
        hf.learn_path("mlp", {"name": "relaxed"}, POINTS, learn={"step": [0.1, 0.9]}, **given)


def test_what_is_no_data_is_refused_by_name():
    word: Any = "points.npy"
    with pytest.raises(ValueError, match="choose_path: `data` must be an array of floats"):
        hf.choose_path("mlp", word, prior="normal", key=KEY, progress=False)


def test_no_path_is_chosen_for_flows_of_conditions():
    points = np.asarray(jax.random.normal(KEY, (12, 2)))
    told = hf.data.Samples(points, condition=np.arange(12) % 2)
    network = hf.networks.MLP(2, 4, 1, classes=2, key=KEY)
    for field, data in (("mlp", told), (network, points)):
        with pytest.raises(ValueError, match="no path is chosen for flows of conditions"):
            hf.choose_path(field, data, prior="normal", key=KEY, progress=False)
    with pytest.raises(ValueError, match=r"in a file: `condition` = false of the arm"):
        hf.choose_path("mlp", points, prior="normal", key=KEY, condition=np.arange(12) % 2)


def test_judges_are_scored_by_the_end_laws_of_all_points():
    path, y = hf.paths.Langevin(RING, curvature="constant", beta=4.0), POINTS[:3] + 0.2
    x = np.asarray(POINTS, float)
    variance = np.mean(np.sum((x - x.mean(0)) ** 2, axis=1)) / 2
    laws = [np.mean([np.exp(normal(z, c, np.eye(2) / 4)) for c in x]) for z in np.asarray(y)]
    broad = [np.exp(normal(z, x.mean(0), variance * np.eye(2))) for z in np.asarray(y)]
    expected = -np.mean(np.log(0.99 * np.array(laws) + 0.01 * np.array(broad)))
    np.testing.assert_allclose(left_out(path, POINTS, y), expected, rtol=1e-4)


NARROW = hf.energies.Gaussian(jnp.array([1.0, -2.0]), jnp.diag(jnp.array([1.0, 25.0])))


@pytest.fixture(scope="module")
def from_four():
    points = hf.data.sample(NARROW, key=KEY, size=4, progress=False).points
    return points, moved(NARROW, points, KEY)


def test_points_that_an_energy_moves_are_samples_of_it(from_four):
    _, found = from_four
    assert found.points.shape == (256, 2)
    np.testing.assert_allclose(found.points.mean(0), [1, -2], atol=0.2)
    np.testing.assert_allclose(found.points.std(0), [1, 0.2], rtol=0.15)
    assert found.correlation < 0.2
    assert found.fault is None


def test_what_a_moved_point_remembers_is_its_correlation_and_the_heat_its_rise():
    x, first, second = jax.random.normal(KEY, (3, 20_000, 2))
    y = 0.6 * x + 0.8 * jnp.stack([first, second])
    centred = hf.energies.Gaussian(jnp.zeros(2), jnp.diag(jnp.array([1.0, 9.0])))
    correlation, heat = _memory(centred, x, y)
    assert float(correlation) == pytest.approx(0.6, abs=0.02)
    rise = (np.asarray(y) ** 2).mean(0) @ [0.5, 4.5] - np.asarray(x) ** 2 @ [0.5, 4.5]
    np.testing.assert_allclose(heat, rise, rtol=1e-3, atol=1e-3)


def test_what_nothing_has_moved_remembers_all():
    x = jax.random.normal(KEY, (5, 2))
    assert _memory(RING, x, jnp.stack([x, x]))[0] == 1


def test_points_at_rest_are_no_samples_and_are_judged_by_those_left_out():
    angles = jnp.linspace(0, 6, 12)
    at_rest = 2.0 * jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    points, why = judges(RING, at_rest, KEY)
    assert points is None
    assert "the data aren't samples of the energy, which moves them by +" in why
    one = {"OT": "optimal-transport"}
    with pytest.warns(UserWarning, match="don't follow the energy"):
        choice = chosen(at_rest, energy=RING, paths=one, folds=None, steps=1)
    assert "which moves them by" in choice.evidence
    assert "12 points that were left out in 5 parts" in choice.reason


def test_energies_that_know_too_little_or_cost_too_much_move_no_points():
    fitted = hf.energies.FittedGaussian.fit(POINTS, rank=1)
    assert "fitted to the data" in judges(fitted, POINTS, KEY)[1]
    host = hf.energies.HostEnergy(lambda x: (float(np.sum(x**2)), -2 * x), (2,))
    assert "calculated on the host" in judges(host, POINTS, KEY)[1]
    assert judges(None, POINTS, KEY) == (None, "")


def test_moved_points_judge_flows_of_all_points():
    given = {"energy": RING, "paths": TWO, "folds": None, "judge": "moved", "steps": 16}
    choice = chosen(**given)
    assert {steps for row in choice.tried for steps in row.nll} == {1, 4, 8, 16}
    judging, _ = judges(RING, POINTS, jax.random.fold_in(KEY, 2**32 - 2))
    assert judging is not None
    key_fit, _ = jax.random.split(jax.random.fold_in(KEY, 0))
    network = around(POINTS).ready.network
    flow = hf.fit(network, TWO["wide"], POINTS, key=key_fit, steps=4, batch_size=16, **FAST)
    (wide,) = (row for row in choice.tried if row.label == "wide")
    assert wide.nll[4] == pytest.approx(float(-flow.log_prob(judging).mean()), rel=1e-4)
    assert "264 points to which the energy moves the data" in choice.reason
