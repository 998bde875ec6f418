"""Run folders side by side, as a user compares them."""

import dataclasses
import io
import json
import re
import shutil
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import hiflow as hf
from hiflow import experiments
from hiflow._statistics import Pooled, mean_over
from hiflow.cli import app
from hiflow.experiments import _compare, _train, compare
from hiflow.experiments._page import page

TOML = """
seeds = [0, 1]
[energy]
name = "ring"
[data]
size = 5000
test = 12
validation = 8
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 4
batch_size = 8
validate_at = 2
[evaluation]
rtol = 1e-3
atol = 1e-3
[[arm]]
label = "OT-FM"
path = {name = "optimal-transport"}
[[arm]]
label = "Relaxed, s 1"
family = "Relaxed"
path = {name = "relaxed", hessian = {name = "analytic"}}
[[arm]]
label = "Relaxed, s 0.3"
family = "Relaxed"
path = {name = "relaxed", hessian = {name = "analytic"}, step = 0.3}
[[arm]]
label = "OT-FM again"
path = {name = "optimal-transport"}
"""
FIGURES = ("learning", "densities", "pareto", "samples")
VARIANTS = """
[[variant]]
label = "few"
size = 3
training = {batch_size = 4}
[[variant]]
label = "many"
"""


def hiflow(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIFLOW_CACHE", str(place / "cache"))
        patch.setenv("COLUMNS", "300")
        (place / "ring.toml").write_text(TOML)
        for out, seeds in [("both", None), ("third", [2])]:
            experiments.train(experiments.read(place / "ring.toml"), place / out, seeds=seeds)
        yield place


def test_differences_are_paired_over_points_and_seeds(runs):
    rows = {row["label"]: row for row in compare([runs / "both", runs / "third"]).rows()}
    assert rows["OT-FM"]["difference"] is None
    again = rows["OT-FM again"]
    assert (again["difference"], again["difference_se"], again["seeds"]) == (0, 0, 3)

    points = []
    for run, seed in [("both", 0), ("both", 1), ("third", 2)]:
        nll = []
        for arm in ("ot-fm", "relaxed--s-1"):
            text = (runs / run / f"seed-{seed}" / arm / "history.jsonl").read_text()
            nll.append(-np.array(json.loads(text.splitlines()[-1])["log_prob"]))
        points.append(nll[1] - nll[0])
    row, means = rows["Relaxed, s 1"], np.mean(points, axis=1)
    np.testing.assert_allclose(row["difference"], means.mean())
    # Every seed has test points of its own, so its mean's spread holds theirs. Student's quantile at
    # 84.1 % with two degrees of freedom is 1.3213.
    expected = 1.3213 * means.std(ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(row["difference_se"], expected, rtol=1e-4)


def test_the_energy_as_control_variate_moves_the_nll_by_the_test_points_luck(runs):
    found = compare([runs / "third"])
    energy = hf.energies.Ring()
    points, test = experiments.make_data(found.experiment, energy, 2, progress=False)
    luck = np.mean(jax.vmap(energy)(test)) - np.mean(jax.vmap(energy)(points))
    row = found.rows()[0]
    assert row["controlled"] is not None
    np.testing.assert_allclose(row["controlled"], row["nll"] - luck, rtol=1e-5)


def test_a_familys_best_is_chosen_by_validation(runs):
    found = compare([runs / "both"])
    rows = {row["label"]: row for row in found.rows()}
    said = repr(found).splitlines()
    assert said[0] == "Comparison of 4 arms"
    assert said[1].split()[:3] == ["OT-FM", "NLL", f"{rows['OT-FM']['nll']:.3f}"]
    assert all(len(repr(member)) < 80 for member in found.members)
    (best,) = found.choices()
    assert best["family"] == "Relaxed"
    other = next(row for row in rows.values() if row["family"] and row["label"] != best["label"])
    assert best["validation"] < other["validation"]


@pytest.mark.parametrize(
    ("one", "other", "best"),
    [
        ([1.0, 9.0], [2.0, 2.0], "Relaxed, s 0.3"),
        ([1.0, 9.0], [2.0], "Relaxed, s 1"),  # Of seed 1, which is hard for all, it has none.
        ([3.0, 9.0], [2.0], "Relaxed, s 1"),  # Nor is it known to do without failing.
        ([2.0], [1.0], "Relaxed, s 0.3"),
        ([np.nan, 1.0], [2.0, 2.0], "Relaxed, s 0.3"),
        ([np.nan, 1.0], [np.inf, 2.0], "Relaxed, s 1"),
    ],
)
def test_a_familys_best_is_chosen_over_the_same_seeds(runs, one, other, best):
    found = compare([runs / "both"])
    values = {"Relaxed, s 1": one, "Relaxed, s 0.3": other}
    members = [
        dataclasses.replace(member, validation=values[member.label][member.seed])
        for member in found.members
        if member.label in values and member.seed < len(values[member.label])
    ]
    ours = experiments.Comparison(members, found.energy, "Relaxed, s 1")
    assert [row["label"] for row in ours.choices()] == [best]


def test_validation_points_are_a_draw_of_their_own(runs):
    what, energy = experiments.read(runs / "ring.toml"), hf.energies.Ring()
    validation = experiments.make_validation(what, energy, 0, progress=False)
    points, test = experiments.make_data(what, energy, 0, progress=False)
    assert validation.shape == (8, 2)
    seen = np.concatenate([points, test])
    assert np.abs(np.asarray(validation)[:, None] - seen).max(axis=2).min() > 1e-6
    # As many as are drawn at a time, from chains for training or test and exactly for both: with the
    # same key they would be the same points.
    exact = hf.energies.Gaussian(jnp.zeros(2), 1.0)
    for other, size, number in [(energy, 8, 2), (energy, 6, 8), (exact, 6, 2)]:
        sizes = {"size": size, "test": number, "validation": 8}
        what = experiments.Experiment("x", "", {**what.tables, "data": sizes})
        seen = np.concatenate(experiments.make_data(what, other, 0, progress=False))
        validation = np.asarray(experiments.make_validation(what, other, 0, progress=False))
        assert np.abs(validation[:, None] - seen).max(axis=2).min() > 1e-6
    none = experiments.Experiment("x", "", {**what.tables, "data": {"size": 5}})
    with pytest.raises(experiments.ConfigError, match="`validation` must be at least 2"):
        experiments.make_validation(none, energy, 0, progress=False)


def test_a_report_is_one_page_that_needs_nothing_else(runs):
    page, row = runs / "report.html", compare([runs / "both"]).rows()[0]
    done = hiflow("report", str(runs / "both"), "--out", str(page), "--samples", "12")
    assert done.exit_code == 0, done.output
    text = page.read_text(encoding="utf-8")
    assert f"{row['nll']:.3f} ± {row['se']:.3f}" in text
    for part in ("floor 1.424", "jax==", "hiflow train config.toml", "[[arm]]", "<h2>Histograms"):
        assert part in text
    assert "http" not in text
    assert set(re.findall(r'(?:src|href)="(.{10})', text)) == {"data:image"}
    wrong = hiflow("report", str(runs / "both"), "--out", str(runs / "report.pdf"))
    assert wrong.exit_code == 2
    assert "must be an .html file" in wrong.output


def test_a_run_is_drawn_with_its_losses(runs):
    done = hiflow("plot", str(runs / "both"))
    assert done.exit_code == 0, done.output
    found = {file.name for file in (runs / "both" / "figures").iterdir()}
    assert found == {"learning.png", "densities.png", "losses.png"}


def test_the_command_writes_page_numbers_and_figures(runs, monkeypatch):
    monkeypatch.setattr(_compare, "TOLERANCES", (1e-3,))
    monkeypatch.setattr(_compare, "STEPS", (8,))
    out = runs / "page"
    options = ["--sweep", "3", "--samples", "20", "--only", "OT-FM", "--only", "Relaxed, s 1"]
    done = hiflow("compare", str(runs / "both"), "--out", str(out), *options)
    assert done.exit_code == 0, done.output
    written = {path.name for path in out.iterdir()}
    assert written == {"comparison.md", "comparison.json", *(f"{name}.png" for name in FIGURES)}
    text = (out / "comparison.md").read_text()
    for part in ["NLL in nats", "| tolerance 1e-03 |", "| 8 steps |", "ESS", "floor 1.424"]:
        assert part in text
    numbers = json.loads((out / "comparison.json").read_text())
    sweep = {row["setting"]: row for row in numbers["sweep"]["OT-FM"]}
    assert sweep["8 steps"]["nfe"] == 6 * 8
    assert 0 < numbers["samples"][0]["ess_least"] <= numbers["samples"][0]["ess"] <= 1
    kept = sorted((runs / "both").glob("seed-*/*/s*-*.*"))
    assert [path.name for path in kept].count("samples-20.npz") == 4
    made = [path.stat().st_mtime_ns for path in kept]
    again = hiflow("compare", str(runs / "both"), "--out", str(out), *options)
    assert again.exit_code == 0, again.output
    assert (out / "comparison.md").read_text() == text
    assert [path.stat().st_mtime_ns for path in kept] == made


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["both", "--against", "OT"], "no arm 'OT' to compare with; there are OT-FM"),
        (["both", "--only", "OT"], "no arm 'OT' has finished; there are OT-FM"),
        (["both", "both"], "two runs hold the arm 'OT-FM' with seed 0"),
        (["none"], "not a run folder"),
    ],
)
def test_what_cant_be_compared_is_refused(runs, monkeypatch, options, message):
    monkeypatch.chdir(runs)
    done = hiflow("compare", *options)
    assert done.exit_code == 2
    assert message in done.output


def test_a_runs_own_comparison_is_that_of_compare(runs):
    run = runs / "both"
    done = hiflow("train", str(runs / "ring.toml"), "--out", str(run), "--resume")
    assert done.exit_code == 0, done.output
    trained = {path.name: path.read_bytes() for path in run.glob("*.*")}
    again = hiflow("compare", str(run), "--out", str(runs / "again"))
    assert again.exit_code == 0, again.output
    compared = {path.name: path.read_bytes() for path in (runs / "again").iterdir()}
    assert set(compared) == set(trained) - {"config.toml", "run.json", "finished.json"}
    for name in ("comparison.md", "comparison.json"):
        assert compared[name] == trained[name]
    for row in compare([run]).rows():
        assert f"{row['nll']:.3f}" in done.output
        assert f"{row['nll']:.3f}" in again.output


def test_a_run_on_its_own_test_points_scores_what_it_scored_in_training(runs):
    found = compare([runs / "both"], only=["OT-FM", "Relaxed, s 1"])
    member = next(m for m in found.members if m.seed == 0)
    np.save(runs / "test.npy", np.asarray(experiments.test_points(member, found.energy)))
    rows = experiments.evaluate_file(runs / "both", runs / "test.npy", {}).numbers()["members"]
    scores = {row["label"]: row for row in rows if row["seed"] == 0}
    for m in found.members:
        if m.seed == 0:
            np.testing.assert_allclose(scores[m.label]["nll"], m.scores["nll"], rtol=1e-5)
    coarse = {"method": "Euler", "steps": 3}
    coarse = experiments.evaluate_file(runs / "both", runs / "test.npy", coarse)
    assert {member.scores["nfe"] for member in coarse.members} == {3}
    alone = hiflow("evaluate", str(member.place / "flow.hiflow"), "--data", str(runs / "test.npy"))
    assert alone.exit_code == 0, alone.output
    assert f"{member.scores['nll']:.3f}" in alone.output
    assert "difference" not in alone.output


def test_a_narrow_console_cuts_no_number(runs):
    found = compare([runs / "both"])
    console = Console(width=72, file=(printed := io.StringIO()))
    experiments.show(found, console)
    for row in found.rows():
        assert f"{row['nll']:.3f}" in printed.getvalue()
        assert f"{row['nfe']:.1f}" in printed.getvalue()


def test_arms_outside_families_and_each_familys_best_are_shown(runs):
    found = compare([runs / "both"])
    (best,) = found.choices()
    assert list(found.shown()) == [
        row["label"] for row in found.rows() if row["label"] == best["label"] or not row["family"]
    ]


def test_without_validation_points_no_family_has_a_best(runs):
    shutil.copytree(runs / "third", runs / "unvalidated")
    text = (runs / "third/config.toml").read_text()
    (runs / "unvalidated/config.toml").write_text(text.replace("validation = 8\n", ""))
    found = compare([runs / "unvalidated"])
    assert found.choices() == []
    assert list(found.shown()) == [row["label"] for row in found.rows()]


def test_without_matplotlib_the_page_has_no_figures(runs, monkeypatch):
    monkeypatch.delattr(hf, "plotting", raising=False)
    monkeypatch.delitem(sys.modules, "hiflow.plotting", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = hiflow("compare", str(runs / "third"), "--out", str(runs / "plain"))
    assert done.exit_code == 0, done.output
    assert "pip install 'hiflow-jax[plot]'" in done.output
    assert {path.name for path in (runs / "plain").iterdir()} == {
        "comparison.md",
        "comparison.json",
    }


def test_a_run_of_an_earlier_version_says_what_brings_it_up_to_date(runs):
    described = runs / "third" / "seed-2" / "data.json"
    kept = described.read_text()
    described.write_text(kept.replace("test_points", "test_sha256"))
    done = hiflow("compare", str(runs / "third"), "--out", str(runs / "old"))
    assert done.exit_code == 2
    (command,) = re.findall("`hiflow (.*)`", done.output.replace("\n", ""))
    done = hiflow(*command.split())
    assert done.exit_code == 0, done.output
    assert described.read_text() == kept


def test_a_history_without_a_number_of_every_point_is_refused(runs):
    history = runs / "third" / "seed-2" / "ot-fm" / "history.jsonl"
    kept = history.read_text()
    row = json.loads(kept.splitlines()[-1]) | {"log_prob": 1.0}
    history.write_text(json.dumps(row) + "\n")
    try:
        with pytest.raises(ValueError, match="its history has no test points; train it again"):
            compare([runs / "third"])
    finally:
        history.write_text(kept)


@pytest.mark.parametrize("kind", ["test", "training"])
def test_a_run_takes_no_arms_of_other_points(runs, kind):
    described = runs / "third" / "seed-2" / "data.json"
    kept = described.read_text()
    described.write_text(kept.replace(f'"{kind}_points": "', f'"{kind}_points": "0'))
    what = experiments.read(runs / "ring.toml")
    try:
        with pytest.raises(ValueError, match=f"the {kind} points are others than before"):
            experiments.train(what, runs / "third", seeds=[2], resume=True)
    finally:
        described.write_text(kept)


def test_other_test_points_are_refused(runs):
    found = compare([runs / "both", runs / "third"])
    for member in found.members:
        if member.label == "Relaxed, s 1" and member.seed == 2:
            member.test = "other"
    with pytest.raises(ValueError, match="have other test points in seed 2"):
        found.rows()


def test_test_points_that_cant_be_made_again_are_refused(runs):
    place = runs / "third" / "seed-2" / "data.json"
    kept = place.read_text()
    place.write_text(kept.replace('"test_points": "', '"test_points": "0'))
    try:
        with pytest.raises(ValueError, match="aren't those it was scored on"):
            compare([runs / "third"])
    finally:
        place.write_text(kept)


def test_variants_are_trained_and_set_in_one_table(runs, monkeypatch):
    sizes, fit = [], _train.fit
    monkeypatch.setattr(
        _train, "fit", lambda *args, **rest: sizes.append(len(args[2])) or fit(*args, **rest)
    )
    toml = TOML[: TOML.index('[[arm]]\nlabel = "Relaxed, s 0.3')] + VARIANTS
    toml = toml.replace("validate_at = 2\n", "")
    (runs / "variants.toml").write_text(toml.replace("seeds = [0, 1]", "seeds = [0]"))
    experiments.train(experiments.read(runs / "variants.toml"), runs / "variants")
    assert sizes == [3, 3, 5000, 5000]
    found = compare([runs / "variants"], against="Relaxed, s 1")
    rows = {row["label"]: row for row in found.rows()}
    assert set(rows) == {f"{a}, {v}" for a in ("OT-FM", "Relaxed, s 1") for v in ("few", "many")}
    assert rows["Relaxed, s 1, few"]["difference"] is None
    assert rows["OT-FM, few"]["difference"] is not None
    assert rows["OT-FM, few"]["nll"] != rows["OT-FM, many"]["nll"]
    assert "| variant | OT-FM | Relaxed, s 1 |" in page(found, [])
    # Scored once, at the end: there is no curve to draw.
    written = {path.name for path in experiments.write(found, runs / "variants-page")}
    assert "learning.png" not in written
    assert "learning.png" not in (runs / "variants-page" / "comparison.md").read_text()


def test_variants_change_what_they_name(runs):
    what = experiments.Experiment(
        "x",
        "",
        dict(experiments.read(runs / "ring.toml").tables)
        | {
            "variant": [{"label": "few", "size": 3, "training": {"batch_size": 4}}],
        },
    )
    first = what.arms[0]
    assert (first["label"], first["arm"], first["variant"]) == ("OT-FM, few", "OT-FM", "few")
    arm = experiments.make_arm(what, first, hf.energies.Ring(), (2,), jax.random.key(0))
    assert (arm.size, arm.training.batch_size, arm.training.steps) == (3, 4, 4)
    own = {**what.tables["arm"][0], "training": {"batch_size": 2, "steps": 5}}
    (changed,) = experiments.Experiment("x", "", {**what.tables, "arm": [own]}).arms
    assert changed["training"] == {"batch_size": 4, "steps": 5}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size = 3", "size = 6_000", "`size` must be between 1 and the 5,000 training points"),
        ("size = 3", "sice = 3", "[[variant]] \"few\": unknown name 'sice'; did you mean 'size'"),
        ('label = "many"', 'label = "few"', "every [[variant]] needs a `label` of its own"),
    ],
)
def test_wrong_variants_are_refused(runs, old, new, message):
    (runs / "wrong.toml").write_text(TOML + VARIANTS.replace(old, new))
    done = hiflow("train", str(runs / "wrong.toml"), "--out", str(runs / "wrong"))
    assert done.exit_code == 2
    assert message in done.output.replace("\n", " ")


def test_seeds_that_share_some_points_of_a_file_share_their_luck(tmp_path):
    file, run = tmp_path / "points.npy", tmp_path / "run"
    np.save(file, np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32))
    config = TOML.replace("size = 5000\ntest = 12\nvalidation = 8", f'file = "{file}"\ntest = 8')
    (tmp_path / "own.toml").write_text(config[: config.index('[[arm]]\nlabel = "Relaxed, s 1"')])
    trained = hiflow("train", str(tmp_path / "own.toml"), "--out", str(run))
    assert trained.exit_code == 0, trained.output
    data = [json.loads((run / f"seed-{k}" / "data.json").read_text()) for k in (0, 1)]
    origins = [np.asarray(each["test_origins"]) for each in data]
    # Whatever the two seeds hold out of ten points.
    assert 6 <= len(np.intersect1d(origins[0], origins[1])) <= 8

    places = [run / f"seed-{k}" / "ot-fm" / "history.jsonl" for k in (0, 1)]
    last = [json.loads(place.read_text().splitlines()[-1]) for place in places]
    values = [-np.asarray(row["log_prob"]) for row in last]
    row = json.loads((run / "comparison.json").read_text())["rows"][0]
    np.testing.assert_allclose(row["se"], mean_over(values, [0, 1], origins=origins).error)

    (run / "seed-1" / "data.json").write_text(json.dumps(data[1] | {"test_origins": ["a"]}))
    with pytest.raises(ValueError, match="`test_origins` isn't one of each of 8 test points"):
        compare([run], console=Console(file=io.StringIO()))


def test_seeds_of_one_file_share_the_mean_energy_of_their_other_points(tmp_path):
    file, energy = tmp_path / "points.npy", hf.energies.Ring()
    pool = np.asarray(hf.data.sample(energy, key=jax.random.key(0), size=20, progress=False).points)
    np.save(file, pool)
    config = TOML.replace("size = 5000\ntest = 12\nvalidation = 8", f'file = "{file}"\ntest = 8')
    (tmp_path / "own.toml").write_text(config[: config.index('[[arm]]\nlabel = "Relaxed, s 1"')])
    found = experiments.train(
        experiments.read(tmp_path / "own.toml"),
        tmp_path / "run",
        console=Console(file=io.StringIO()),
    )
    values, held, levels = [], [], []
    for member in found.members:
        sides = experiments.make_data(found.experiment, energy, member.seed, progress=False)
        left, test = (
            np.argmax((pool == np.asarray(side)[:, None]).all(-1), axis=1) for side in sides
        )
        assert sorted([*left, *test]) == list(range(20))
        V = np.asarray(jax.vmap(energy)(jnp.asarray(pool)), np.float64)
        values.append(-np.asarray(member.scores["log_prob"]) - V[test] + V[left].mean())
        held.append(test)
        levels.append(Pooled(V[left], left))
    row = found.rows()[0]
    np.testing.assert_allclose(row["controlled"], np.mean(values), rtol=1e-5)
    expected = mean_over(values, [0, 1], None, (), held, levels).error
    np.testing.assert_allclose(row["controlled_se"], expected, rtol=1e-4)
    assert expected > 1.01 * mean_over(values, [0, 1], None, (), held).error
