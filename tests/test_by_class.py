"""Arms by class: NLLs over seeds and points, the mixture of the classes, and Bayes' rule."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import hiflow as hf
from hiflow import experiments
from hiflow._statistics import mean_over
from hiflow.experiments._classes import ClassScores
from trees import DATA, TOML, hiflow, nearest, text, write_trees

SETTINGS = 'divergence = {name = "hutchinson", probes = 1}'


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two seeds whose test points are others, of arms that are told the class and aren't."""
    place = tmp_path_factory.mktemp("by-class")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("COLUMNS", "200")
        write_trees(place)
        what = text(seeds="seeds = [0, 1]", training="condition_dropout = 0.2")
        Path("trees.toml").write_text(what.replace("[evaluation]", f"[evaluation]\n{SETTINGS}"))
        result = hiflow("train", "trees.toml", "--out", "run")
        assert result.exit_code == 0, result.output
        Path("output.txt").write_text(result.output)
        yield place


@pytest.fixture
def found(run, monkeypatch):
    monkeypatch.chdir(run)
    return experiments.compare(["run"])


def test_the_mixture_is_a_density_of_points_alone():
    axis = np.linspace(-6, 6, 1201)
    means, widths, shares = np.asarray([-2.0, 1.0]), np.asarray([0.5, 1.0]), np.asarray([0.3, 0.7])
    offset = (axis[:, None] - means) / widths
    log_prob = -0.5 * offset**2 - np.log(np.sqrt(2 * np.pi) * widths)
    scores = ClassScores(log_prob, shares)
    assert abs(np.exp(scores.mixture).sum() * (axis[1] - axis[0]) - 1) < 1e-4
    posterior = shares * np.exp(log_prob)
    np.testing.assert_array_equal(scores.found, np.argmax(posterior, axis=1))
    np.testing.assert_allclose(np.exp(scores.mixture), posterior.sum(axis=1), rtol=1e-10)


def test_classes_are_compared_over_seeds_and_their_points(found):
    rows = {(row["label"], row["class"]): row for row in found.class_rows()}
    assert len(rows) == 6
    for label in ("told", "free"):
        members = [member for member in found.members if member.label == label]
        parts = [
            experiments.make_samples(m.experiment, None, m.seed, progress=False) for m in members
        ]
        classes = [nearest(test.points) for _, test in parts]
        for number, name in enumerate(("ash", "elm", "oak")):
            picked = [m.nll[of == number] for m, of in zip(members, classes, strict=True)]
            origins = [m.origins[of == number] for m, of in zip(members, classes, strict=True)]
            expected = mean_over(picked, [m.test for m in members], None, (), origins)
            row = rows[label, name]
            np.testing.assert_allclose((row["nll"], row["se"]), expected, rtol=1e-12)
            assert row["points"] == np.mean([len(each) for each in picked])


def test_without_the_class_arms_that_are_told_it_are_mixtures(found):
    told, free = found.untold_rows()
    values, right = [], []
    for member in (member for member in found.members if member.label == "told"):
        train, test = experiments.make_samples(member.experiment, None, member.seed, progress=False)
        shares = np.bincount(nearest(train.points)) / len(train)
        flow, key = member.flow(), jax.random.key(0)
        columns = [flow.log_prob(test.points, key=key, condition=c) for c in range(3)]
        joint = np.stack(columns, 1).astype(float) + np.log(shares)
        values.append(-np.log(np.exp(joint).sum(axis=1)))
        right.append(joint.argmax(axis=1) == nearest(test.points))
        # The probes are those of the NLL in training.
        of_its_class = np.stack(columns, 1)[np.arange(len(test)), test.condition]
        np.testing.assert_allclose(-of_its_class, member.nll, atol=1e-4)
    np.testing.assert_allclose(told["nll"], np.mean(values), rtol=1e-5)
    np.testing.assert_allclose(told["right"], np.mean(right))
    members = [member for member in found.members if member.label == "free"]
    differences = [member.nll - mine for member, mine in zip(members, values, strict=True)]
    np.testing.assert_allclose(free["difference"], np.mean(differences), rtol=1e-4)
    assert free["right"] is None
    assert told["difference"] is None


def test_an_nll_under_a_condition_is_not_compared_with_one_without(found):
    rows = found.rows()
    assert [row["difference"] for row in rows] == [None, None]
    assert "can't be compared" in found.caption
    assert "right by Bayes" in Path("output.txt").read_text()
    kept = json.loads(Path("run/comparison.json").read_text())
    assert kept["classes"] == found.class_rows()
    assert kept["untold"] == found.untold_rows()
    page = Path("run/comparison.md").read_text()
    assert "## By class" in page
    assert "## Without the class" in page


def test_a_finished_run_shows_its_classes_again(run, monkeypatch):
    monkeypatch.chdir(run)
    result = hiflow("train", "trees.toml", "--out", "run", "--resume")
    assert "nothing to do" in result.output
    assert "right by Bayes" in result.output
    assert "elm" in result.output


def test_samples_are_drawn_under_a_condition_by_its_name(run, monkeypatch, tmp_path):
    monkeypatch.chdir(run)
    result = hiflow(
        "sample", "run", "--n", "3", "--condition", "oak", "--out", str(tmp_path / "x.npz")
    )
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "x.npz") as drawn:
        stored = dict(drawn)
    flow = hf.load("run/seed-1/told/flow.hiflow")
    x, log_prob = flow.sample_and_log_prob(jax.random.key(0), 3, condition=2)
    np.testing.assert_allclose(stored["told-1/samples"], x, rtol=1e-5)
    np.testing.assert_allclose(stored["told-1/log_prob"], log_prob, rtol=1e-5)
    np.testing.assert_array_equal(stored["told-1/condition"], [2, 2, 2])
    assert "free-1/condition" not in stored


def test_own_points_are_scored_by_the_names_of_the_run(run, monkeypatch):
    monkeypatch.chdir(run)  # The classes elm and oak alone, which the file numbers from 0.
    result = hiflow("evaluate", "run", "--data", "test.npz")
    assert result.exit_code == 0, result.output
    assert "right by Bayes" in result.output
    found = experiments.evaluate_file("run", "test.npz", {})
    with np.load("test.npz") as stored:
        points, names = stored["points"], stored["tree"]
    classes = np.asarray([("ash", "elm", "oak").index(name) for name in names])
    member = next(m for m in found.members if m.label == "told")
    expected = member.flow().log_prob(points.astype("f4"), key=jax.random.key(0), condition=classes)
    np.testing.assert_allclose(-member.nll, expected, rtol=1e-4)
    assert {row["class"] for row in found.class_rows()} == {"elm", "oak"}
    np.savez("numbers.npz", points=points, tree=classes)
    alone = experiments.evaluate_file(
        member.place / "flow.hiflow", "numbers.npz", {}, condition="tree"
    )
    np.testing.assert_allclose(-alone.members[0].nll, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("place", "file", "given", "words"),
    [
        ("run", "other.npz", {}, "no training point has the class 'fir'"),
        ("run", "trees.npz", {"condition": "heat"}, "must be 3 classes"),
        ("run/seed-0/told/flow.hiflow", "trees.npz", {}, "Name the array"),
        ("run/seed-0/told/flow.hiflow", "trees.npz", {"condition": "tree"}, "have no names"),
        ("run/seed-0/free/flow.hiflow", "trees.npz", {"condition": "tree"}, "no flow takes"),
    ],
)
def test_own_points_of_other_conditions_are_refused(run, monkeypatch, place, file, given, words):
    monkeypatch.chdir(run)
    with pytest.raises(ValueError, match=words):
        experiments.evaluate_file(place, file, {}, **given)


@pytest.mark.parametrize(
    ("place", "said", "words"),
    [
        ("run", "fir", "one of ash, elm, oak; got fir"),
        ("run/seed-0/told/flow.hiflow", "3", "a label from 0 to 2; got 3"),
        ("run/seed-0/told/flow.hiflow", "0.5", "a label from 0 to 2; got 0.5"),
        ("run/seed-0/free/flow.hiflow", "1", "no flow of .* takes a condition"),
    ],
)
def test_conditions_that_no_flow_takes_are_refused(run, monkeypatch, place, said, words):
    monkeypatch.chdir(run)
    with pytest.raises(ValueError, match=words):
        experiments.write_drawn(place, "none.npz", 3, condition=said)
    assert not Path("none.npz").exists()


def test_reports_and_figures_of_flows_that_must_be_told_show_the_mixture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trees(tmp_path)
    Path("trees.toml").write_text(text())
    assert hiflow("train", "trees.toml", "--out", "run").exit_code == 0
    assert Path("run/densities.png").is_file()
    assert hiflow("report", "run").exit_code == 0
    page = Path("run/report.html").read_text()
    assert "Without the class" in page
    assert "oak" in page
    result = hiflow("sample", "run", "--n", "2")
    assert result.exit_code != 0
    assert "one of ash, elm, oak; got none" in " ".join(result.output.split())


def test_a_run_without_conditions_is_compared_by_the_classes_of_the_same_points(run, monkeypatch):
    monkeypatch.chdir(run)
    plain = TOML[: TOML.index("[[arm]]")] + '[[arm]]\nlabel = "plain"\npath = "optimal-transport"\n'
    data = DATA.replace('condition = "tree"\n', "")
    Path("plain.toml").write_text(
        plain.format(data=data, seeds="seeds = [0, 1]", network="", training="")
    )
    experiments.train(experiments.read("plain.toml"), "plain")
    found = experiments.compare(["run", "plain"])
    assert {row["label"] for row in found.class_rows()} == {"told", "free", "plain"}
    assert [row["difference"] is None for row in found.untold_rows()] == [True, False, False]
    described = Path("plain/seed-0/data.json")
    first = json.loads(Path("run/seed-0/data.json").read_text())
    described.write_text(json.dumps({**first, "test_conditions": "0"}))
    with pytest.raises(ValueError, match="same test points with other conditions"):
        experiments.compare(["run", "plain"])


def test_what_was_made_of_a_flow_goes_when_it_is_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trees(tmp_path)
    Path("trees.toml").write_text(text())
    before = experiments.train(experiments.read("trees.toml"), "run").members[0].classes
    Path("trees.toml").write_text(text().replace("steps = 4\nbatch", "steps = 9\nbatch"))
    found = experiments.train(experiments.read("trees.toml"), "run", resume=True)
    member = found.members[0]
    _, test = experiments.make_samples(member.experiment, None, 0, progress=False)
    flow = hf.load("run/seed-0/told/flow.hiflow")
    expected = flow.log_prob(test.points, key=jax.random.key(0), condition=1)
    assert member.classes is not None
    np.testing.assert_allclose(member.classes.log_prob[:, 1], expected, rtol=1e-5)
    assert before is not None
    assert np.abs(before.log_prob - member.classes.log_prob).max() > 1e-3
