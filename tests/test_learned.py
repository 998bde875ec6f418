"""`path = {name = "learned", …}` in a file: learned once, by training points alone, and gone on with."""

import json

import jax
import jsonschema
import numpy as np
import pytest

import hiflow as hf
import small_runs
from hiflow import experiments
from hiflow.training._trials import Trials
from small_runs import RING

TOML = (
    RING
    + """
[[arm]]
label = "learned"
[arm.path]
name = "learned"
path = {name = "relaxed", curvature = "affine-power", step = 0.5}
learn.curvature.floor = [0.1, 30.0]
learn.step = [0.1, 1.0]
trials = 3
folds = 2
"""
)
OF_POINTS = (
    'hessian = {name = "neighbours", neighbours = 3, bandwidth = 2}, curvature = "affine-power"'
)


def trained(folder, text=TOML, **keywords):
    return small_runs.trained(folder, text, **keywords)


def nlls(trials, candidate, steps, k, seen, left_out):
    """In place of trials: the higher the floor and the step, the better."""
    law = trials.path(candidate).end_law
    value = -float(law.curvature.floor) - float(law.step)
    return np.full(len(left_out), value)


def refuse(*_, **__):
    raise AssertionError("tried again")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trials, "_nll", nlls)
        return folder, trained(folder)


def test_numbers_are_learned_once_and_gone_on_with(run, monkeypatch):
    folder, first = run
    place = folder / "run/seed-0/learned"
    kept = json.loads((place / "choice.json").read_text())
    assert kept["path"]["curvature"]["name"] == "affine-power"
    numbers = (kept["path"]["curvature"]["floor"], kept["path"]["step"])
    assert 0.1 <= numbers[0] <= 30
    assert 0.1 <= numbers[1] <= 1
    assert kept["why"][-1].startswith(f"floor {numbers[0]:g}, step {numbers[1]:g}: 8 steps")
    assert len(json.loads((place / "trials.json").read_text())["nll"]) == 6
    monkeypatch.setattr(Trials, "_nll", refuse)
    before = hf.load(place / "flow.hiflow").sample(jax.random.key(0), 2)
    (place / "flow.hiflow").unlink()
    second = trained(folder, resume=True)
    after = hf.load(place / "flow.hiflow").sample(jax.random.key(0), 2)
    assert (before == after).all()
    assert first.numbers()["rows"][0]["nll"] == second.numbers()["rows"][0]["nll"]
    (place / "choice.json").unlink()
    trained(folder, resume=True)
    assert json.loads((place / "choice.json").read_text()) == kept


def test_the_choice_is_that_of_the_training_points_alone(run, monkeypatch):
    folder, _ = run
    monkeypatch.setattr(Trials, "_nll", nlls)
    experiment = experiments.read(folder / "small.toml")
    energy = experiments.make_energy(experiment)
    assert energy is not None
    seen, _ = experiments.make_data(experiment, energy, 0, progress=False)
    key_network, key_fit = jax.random.split(jax.random.key(0))
    arm = experiments.make_arm(
        experiment, experiment.arms[0], energy, energy.event_shape, key_network
    )
    choice = hf.learn_path(
        arm.network,
        {"name": "relaxed", "curvature": "affine-power", "step": 0.5},
        seen,
        learn={"curvature": {"floor": [0.1, 30.0]}, "step": [0.1, 1.0]},
        prior=arm.prior,
        energy=energy,
        key=key_fit,
        trials=3,
        folds=2,
        training=arm.training.changed(steps=8),
        solver_settings=arm.solver,
        progress=False,
    )
    kept = json.loads((folder / "run/seed-0/learned/choice.json").read_text())
    assert (kept["path"], kept["why"]) == (choice.table, str(choice).splitlines())


def test_what_is_made_of_the_points_isnt_written_to_the_choice(tmp_path, monkeypatch):
    monkeypatch.setattr(Trials, "_nll", nlls)
    trained(tmp_path, TOML.replace('curvature = "affine-power"', OF_POINTS))
    kept = json.loads((tmp_path / "run/seed-0/learned/choice.json").read_text())
    assert kept["path"]["hessian"] == {"name": "neighbours", "neighbours": 3, "bandwidth": 2}
    assert isinstance(kept["path"]["curvature"]["floor"], float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("trials = 3", "trial = 3"), "unknown setting 'trial'; did you mean 'trials'?"),
        (("trials = 3", "trials = 0"), "`trials` must be at least 1"),
        (("folds = 2", "folds = 9"), "it needs at least 9, and the arm has 8"),
        (("learn.step = [0.1, 1.0]", "learn.step = 0.5"), "`learn.step` must be two finite"),
        (("[0.1, 1.0]", "[0.1, 1.5]"), "`learn`: step can't be 1.5"),
        (("learn.step", "learn.stop"), "takes no argument 'stop'"),
        (('"relaxed"', '"relaxt"'), "did you mean 'relaxed'"),
        (('"affine-power"', '"affine"'), "did you mean 'affine-power'"),
        (("path = {", "paths = {"), "unknown setting 'paths'; did you mean 'path'?"),
        (("[arm.path]", "[arm.path]\nlearn = 3\n[arm.other]"), "unknown name 'other'"),
    ],
)
def test_what_is_wrong_is_refused_before_data_are_drawn(tmp_path, monkeypatch, change, words):
    monkeypatch.setattr("hiflow.experiments._train.make_samples", refuse)
    with pytest.raises(ValueError, match="learned") as caught:
        trained(tmp_path, TOML.replace(*change))
    assert words in str(caught.value)


@pytest.mark.parametrize("table", ['"learned"', '{name = "learned", path = "relaxed"}'])
def test_a_file_that_doesnt_say_what_is_learned_is_told_how(tmp_path, table):
    text = TOML[: TOML.index("[arm.path]")] + f"path = {table}\n"
    with pytest.raises(ValueError, match=r"'learned' needs .*'learn', as in"):
        trained(tmp_path, text)


def test_the_schema_allows_it():
    schema = jsonschema.Draft202012Validator(json.loads(json.dumps(experiments.schema())))
    table = {"name": "learned", "path": "relaxed", "learn": {"step": [0.1, 1.0]}}
    for path in (table, {**table, "folds": 3, "trials": 20}):
        assert schema.is_valid({"arm": [{"label": "a", "path": path}]})
    for path in ({**table, "trial": 20}, {**table, "path": "relaxt"}, {"name": "learned"}):
        assert not schema.is_valid({"arm": [{"label": "a", "path": path}]})
