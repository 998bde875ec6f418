"""Experiments whose points come with conditions: from the file to the flow, and what is refused."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import hiflow as hf
from hiflow import experiments
from hiflow.experiments import ConfigError
from hiflow.experiments._check import checked
from hiflow.experiments._data import validation_samples
from hiflow.networks import conditions_of
from trees import DATA, NAMES, experiment, hiflow, nearest, write_trees


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    write_trees(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        DATA + "\nseed = 3\nsize = 40",
        'file = "trees.npz"\ncondition = "tree"\ntest_file = "test.npz"\nvalidation = 9',
    ],
)
def test_conditions_travel_with_their_points(data):
    what = experiment(data=data)
    parts = [*experiments.make_samples(what, None, 0, progress=False)]
    parts.append(validation_samples(what, None, 0, progress=False))
    for part in parts:
        assert part.classes == NAMES
        np.testing.assert_array_equal(part.condition, nearest(part.points))


def test_a_file_and_python_give_the_same_conditional_flow():
    what = experiment(training="condition_dropout = 0.2\ncoupling = 'minibatch-ot'")
    experiments.train(what, "run")
    train, test = experiments.make_samples(what, None, 0, progress=False)
    key_network, key_fit = jax.random.split(jax.random.key(0))
    prior = hf.priors.Normal(2)
    network = hf.networks.MLP(2, 8, 1, projects_on=prior.group, classes=3, key=key_network)
    settings = {"steps": 4, "batch_size": 16, "condition_dropout": 0.2}
    for samples in (train, None):
        flow = hf.fit(
            network, "optimal-transport", train.points if samples is None else samples,
            condition=train.condition if samples is None else None,
            prior=prior, key=key_fit, coupling="minibatch-ot", progress=False, **settings,
        )  # fmt: skip
        told = hf.load("run/seed-0/told/flow.hiflow")
        for mine, theirs in zip(
            jax.tree.leaves(flow.network), jax.tree.leaves(told.network), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)
    row = json.loads(Path("run/seed-0/told/history.jsonl").read_text().splitlines()[-1])
    expected = told.log_prob(test.points, condition=test.condition)
    np.testing.assert_allclose(row["log_prob"], expected, rtol=1e-5)
    free = hf.load("run/seed-0/free/flow.hiflow")
    assert conditions_of(free.network) is None
    described = json.loads(Path("run/seed-0/data.json").read_text())
    assert described["classes"] == list(NAMES)
    assert described["test_classes"] == nearest(test.points).tolist()


def test_a_resumed_run_has_the_same_conditions():
    whole, cut = experiment(), experiment(training="checkpoint_every = 2")
    experiments.train(whole, "whole")
    experiments.train(cut, "cut")
    for file in Path("cut").glob("seed-0/*/flow.hiflow"):
        file.unlink()
    for states in Path("cut").glob("seed-0/*/checkpoints/steps"):
        shutil.rmtree(states / "4")
    experiments.train(cut, "cut", resume=True)
    flows = (hf.load(f"{run}/seed-0/told/flow.hiflow") for run in ("whole", "cut"))
    for mine, theirs in zip(*(jax.tree.leaves(flow.network) for flow in flows), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with np.load("trees.npz") as stored:
        arrays = dict(stored)
    np.savez("trees.npz", **{**arrays, "tree": np.roll(arrays["tree"], 1)})
    with pytest.raises(ValueError, match="others than before, or their conditions"):
        experiments.train(cut, "cut", resume=True)


def arguments(network):
    assert isinstance(network, hf.networks.MLP)
    return network.constructor_arguments()


def test_networks_are_built_for_what_the_points_come_with():
    _, _, (told, free) = checked(experiment())
    assert arguments(told.network)["classes"] == 3
    assert arguments(free.network)["classes"] is None
    assert told.condition is not None
    assert told.condition.words == "3 classes: ash, elm, oak"
    _, _, (told, _) = checked(experiment(data='file = "trees.npz"\ncondition = "heat"\ntest = 12'))
    assert arguments(told.network)["condition_size"] == 1
    experiment(network="classes = 3", free='network = {name = "mlp"}')
    checked(experiments.read("trees.toml"))


def test_what_an_untold_arm_shares_of_conditions_does_not_concern_it():
    _, _, (told, free) = checked(experiment(training="condition_dropout = 0.1"))
    assert (told.training.condition_dropout, free.training.condition_dropout) == (0.1, 0.0)


VECTOR = 'file = "trees.npz"\ncondition = "heat"\ntest = 12'
DROPS = "condition_dropout = 0.1"
TESTED = 'file = "trees.npz"\ncondition = "tree"\ntest_file = "{}"'


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"data": DATA.replace("tree\"\nt", "trees\"\nt")}, "got 'trees'.*'tree'"),
        ({"data": DATA.replace('"tree"', "3")}, "`condition` must be"),
        ({"data": 'file = "trees.npz"\ntest = 12', "told": "condition = true"}, "has no `condition`"),
        ({"free": '[[arm]]\nlabel = "a"\npath = "auto"'}, "no path is chosen for flows of conditions"),
        ({"told": 'condition = "tree"'}, "must be true or false"),
        ({"network": "classes = 4"}, "`classes` of MLP is 4, and .data. has 3 classes: ash, elm, oak"),
        ({"network": "condition_size = 2"}, "`condition_size` of MLP is for a vector of 2 numbers"),
        ({"data": VECTOR, "network": "classes = 3"}, "`classes` of MLP is for a label from 0 to 2"),
        ({"data": VECTOR, "network": "condition_size = 2"}, "is 2, and .data. `condition` is a number"),
        ({"free": 'network = {name = "mlp", classes = 3}'}, "its arm isn't told any condition"),
        ({"free": "training = {condition_dropout = 0.1}"}, "this one says `condition` = false"),
        ({"data": DATA.replace('"tree"', '"rank"')}, "90 different whole numbers .* are no classes"),
        ({"data": TESTED.format("other.npz")}, "no training point has the class 'fir'.*oak"),
        ({"data": 'file = "rare.npz"\ncondition = "tree"\ntest = 80'}, "none of the 10 "),
        ({"data": TESTED.format("test.npz") + '\ncondition_file = "trees.npz"'}, "needs a `test_cond"),
        ({"data": 'size = 9\ncondition = "tree"'}, "what files and images tell"),
        ({"data": VECTOR, "training": 'coupling = "minibatch-ot"'}, "hardly two that are equal"),
        ({"training": 'target = "force-controlled"'}, "target"),
        ({"data": DATA + '\nimages = "digits"'}, "`condition` of images must be 'classes'|unknown name"),
        ({"data": 'images = "digits"\ncondition = "digit"'}, "must be 'classes', their labels"),
        ({"data": 'file = "trees.npz"\ntest = 12', "training": DROPS}, "nothing to drop"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_anything_is_written(parts, words):
    with pytest.raises(ConfigError, match=words):
        experiments.train(experiment(**parts), "run")
    assert not Path("run").exists()


def test_every_seed_and_size_must_see_every_class():
    data = 'file = "rare.npz"\ncondition = "tree"\ntest = 12'
    seen = {}
    for seed in range(6):
        train, _ = experiments.make_samples(experiment(data=data), None, seed, progress=False)
        seen[seed] = "yew" in np.asarray(train.classes)[train.condition]
    good = [seed for seed in seen if seen[seed]][:1]
    bad = [seed for seed in seen if not seen[seed]][:1]
    with pytest.raises(ConfigError, match=f"seed {bad[0]}: none of the 78 .* 'yew'"):
        experiments.train(experiment(data=data, seeds=f"seeds = {good + bad}"), "run")
    assert not Path("run").exists()
    small = '\n[[variant]]\nlabel = "few"\nsize = 3\n'
    seeds = f"seeds = {good}"
    with pytest.raises(ConfigError, match=r"variants of 3 points: none of the 3 .* 'yew'"):
        experiments.train(experiment(data=data, seeds=seeds, free=small), "run")


def test_a_dry_run_knows_of_conditions():
    experiment(training='coupling = "minibatch-ot"')
    result = hiflow("train", "trees.toml", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "no time" not in result.output
    assert not Path("runs").exists()
