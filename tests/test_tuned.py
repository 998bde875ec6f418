"""An arm that lists settings is as many arms of one family, and what a file may get wrong there."""

import re

import pytest

from hiflow import experiments

HEAD = """
seeds = [0]
[energy]
name = "ring"
[data]
size = 10
test = 16
validation = 8
[network]
name = "mlp"
width = 8
"""
ISOTROPIC = """
[[arm]]
label = "isotropic"
path = {name = "langevin", curvature = "constant"}
"""


def read(tmp_path, text):
    file = tmp_path / "tuned.toml"
    file.write_text(text, encoding="utf-8")
    return experiments.read(file)


def test_every_combination_is_an_arm_of_one_family(tmp_path):
    text = HEAD + ISOTROPIC + "tune.path.beta = [1.0, 10.0]\ntune.training.steps = [5, 7]\n"
    arms = read(tmp_path, text).arms
    assert [arm["label"] for arm in arms] == [
        f"isotropic, beta {beta}, steps {steps}" for beta in (1.0, 10.0) for steps in (5, 7)
    ]
    assert {arm["family"] for arm in arms} == {"isotropic"}
    assert [(arm["path"]["beta"], arm["training"]["steps"]) for arm in arms] == [
        (1.0, 5), (1.0, 7), (10.0, 5), (10.0, 7)
    ]  # fmt: skip
    assert all("tune" not in arm for arm in arms)


def test_settings_of_a_part_that_is_only_named_and_of_one_that_the_arms_share(tmp_path):
    lines = 'family = "all"\ntune.path.curvature.value = [1.0, 4.0]\ntune.network.width = [4]\n'
    arms = read(tmp_path, HEAD + ISOTROPIC + lines).arms
    assert [arm["path"]["curvature"] for arm in arms] == [
        {"name": "constant", "value": 1.0},
        {"name": "constant", "value": 4.0},
    ]
    assert all(arm["network"] == {"name": "mlp", "width": 4} for arm in arms)
    assert {arm["family"] for arm in arms} == {"all"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("tune.path.beta = 1.0", "`tune.path.beta` must be a list of settings, each once; got 1.0"),
        ("tune.path.beta = []", "must be a list"),
        ("tune.path.beta = [1.0, 1.0]", "each once"),
        ("tune.paths.beta = [1.0]", "must be a setting in one of path, prior, network, training"),
        ("tune.path = [1.0]", "`tune.path` must be a setting in one of"),
        ("tune = {}", "`tune` lists no settings; write tune.path.beta"),
        ("tune = 3", "`tune` must be"),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path, lines, message):
    with pytest.raises(experiments.ConfigError, match=re.escape(message)):
        read(tmp_path, HEAD + ISOTROPIC + lines)


def test_it_needs_points_to_choose_by(tmp_path):
    text = HEAD.replace("validation = 8\n", "") + ISOTROPIC + "tune.path.beta = [1.0, 10.0]"
    with pytest.raises(experiments.ConfigError, match="`tune` chooses by validation points"):
        read(tmp_path, text)


def test_two_arms_of_one_label_are_refused(tmp_path):
    other = ISOTROPIC.replace('"isotropic"', '"isotropic, beta 1.0"')
    with pytest.raises(
        experiments.ConfigError, match=r"a second arm of the label 'isotropic, beta 1\.0'"
    ):
        read(tmp_path, HEAD + other + ISOTROPIC + "tune.path.beta = [1.0, 10.0]")
