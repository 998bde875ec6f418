"""`path = "auto"` in a file: chosen once, by training points alone, and gone on with."""

import json
from html import unescape

import jax
import jsonschema
import pytest

import hiflow as hf
import small_runs
from hiflow import experiments
from hiflow.experiments import _auto_settings
from hiflow.experiments._data import make_samples
from hiflow.experiments._html import html
from hiflow.experiments._page import page
from hiflow.experiments._run_folder import RunFolder
from small_runs import RING

TOML = (
    RING
    + """
[[arm]]
label = "chosen"
path = {name = "auto", folds = 2, finalists = 1}
"""
)


def trained(folder, text=TOML, **keywords):
    return small_runs.trained(folder, text, **keywords)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auto")
    return folder, trained(folder)


def test_a_choice_is_made_once_and_gone_on_with(run, monkeypatch):
    folder, first = run
    place = folder / "run/seed-0/chosen"
    kept = json.loads((place / "choice.json").read_text())
    assert kept["why"][-1].endswith(".")

    def again(*_, **__):
        raise AssertionError("chosen again")

    monkeypatch.setattr(_auto_settings, "made_choice", again)
    before = hf.load(place / "flow.hiflow").sample(jax.random.key(0), 2)
    (place / "flow.hiflow").unlink()
    second = trained(folder, resume=True)
    after = hf.load(place / "flow.hiflow").sample(jax.random.key(0), 2)
    assert (before == after).all()
    assert first.numbers()["rows"][0]["nll"] == second.numbers()["rows"][0]["nll"]
    trained(folder, TOML.replace("steps = 8", "steps = 12"), resume=True)
    steps = hf.History.read(place / "history.jsonl")[0].rows[-1]["step"]
    assert steps == kept["steps"] * 12 // 8


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_an_arm_is_trained_for_the_steps_that_were_chosen(tmp_path, monkeypatch, steps):
    """Of 8: sixteenths and halves are judged too, besides the quarter."""
    path = {"name": "optimal-transport", "sigma_min": 0.1}

    def chosen(*_, **__):
        made = hf.paths.OptimalTransport(sigma_min=0.1)
        return hf.training.Choice(made, steps, "isotropic", path, (), "seen", "so it was said.")

    monkeypatch.setattr(_auto_settings, "made_choice", chosen)
    trained(tmp_path)
    history = hf.History.read(tmp_path / "run/seed-0/chosen/history.jsonl")[0]
    assert history.rows[-1]["step"] == steps


def test_the_choice_is_that_of_the_training_points_alone(run):
    folder, _ = run
    experiment = experiments.read(folder / "small.toml")
    energy = experiments.make_energy(experiment)
    assert energy is not None
    seen, _ = make_samples(experiment, energy, 0, progress=False)
    key_network, key_fit = jax.random.split(jax.random.key(0))
    arm = experiments.make_arm(
        experiment, experiment.arms[0], energy, energy.event_shape, key_network
    )
    choice = hf.choose_path(
        arm.network,
        seen,
        prior=arm.prior,
        energy=energy,
        key=key_fit,
        folds=2,
        finalists=1,
        training=arm.training.changed(steps=8),
        solver_settings=arm.solver,
        progress=False,
    )
    kept = json.loads((folder / "run/seed-0/chosen/choice.json").read_text())
    assert kept["path"] == choice.table
    assert kept["why"] == str(choice).splitlines()


def test_the_pages_tell_what_was_chosen_for_every_seed_and_why(run):
    folder, comparison = run
    kept = json.loads((folder / "run/seed-0/chosen/choice.json").read_text())
    (row,) = comparison.numbers()["by_choice"]
    assert (row["label"], row["seed"]) == ("chosen", 0)
    assert (row["path"], row["why"]) == (kept["path"], kept["why"])
    assert f"{row['chosen']}: {row['because']}" == kept["why"][-1]
    for text in (page(comparison, ()), html(comparison, {}, RunFolder(folder / "run"))):
        told = unescape(text)
        assert "Paths by choice" in told
        assert all(line in told for line in kept["why"][:-1])
        assert row["because"] in told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("folds = 2", "fold = 2"), "unknown setting 'fold'; did you mean 'folds'?"),
        (("folds = 2", "folds = 0"), "`folds` must be at least 1"),
        (("folds = 2", "folds = 9"), "it needs at least 9, and the arm has 8"),
        (("finalists = 1", 'finalists = "x"'), "`finalists` must be at least 1"),
    ],
)
def test_what_is_wrong_is_refused_before_data_are_drawn(tmp_path, monkeypatch, change, words):
    def drawn(*_, **__):
        raise AssertionError("data were drawn")

    monkeypatch.setattr("hiflow.experiments._train.make_samples", drawn)
    with pytest.raises(ValueError, match="chosen") as caught:
        trained(tmp_path, TOML.replace(*change))
    assert words in str(caught.value)


def test_neighbours_that_the_points_dont_have_are_refused_before_data_are_drawn(tmp_path):
    text = TOML.replace(
        '{name = "auto", folds = 2, finalists = 1}',
        '{name = "langevin", hessian = {name = "neighbours", neighbours = 8, bandwidth = 3}}',
    )
    with pytest.raises(ValueError, match="need at least 9 training points, and the arm has 8"):
        trained(tmp_path, text)
    small = (
        text.replace("neighbours = 8", "neighbours = 6") + '[[variant]]\nlabel = "few"\nsize = 6\n'
    )
    with pytest.raises(ValueError, match="need at least 7 training points, and the arm has 6"):
        trained(tmp_path, small)


def test_the_schema_allows_it():
    schema = jsonschema.Draft202012Validator(json.loads(json.dumps(experiments.schema())))
    for path in ("auto", {"name": "auto", "folds": 3}, "optimal-transport"):
        assert schema.is_valid({"arm": [{"label": "a", "path": path}]})
    for path in ({"name": "auto", "fold": 3}, "automatic"):
        assert not schema.is_valid({"arm": [{"label": "a", "path": path}]})
