"""Targets and time samplers by their names in a file, and what the page of results says of them."""

import pytest

from hiflow import experiments
from hiflow.experiments import compare
from hiflow.experiments._page import page

TOML = """
[energy]
name = "ring"
[data]
size = 200
test = 8
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 2
batch_size = 8
[evaluation]
solver = "Euler"
steps = 2
[[arm]]
label = "plain"
path = {name = "optimal-transport"}
[[arm]]
label = "force"
path = {name = "optimal-transport"}
training = {target = {name = "force", mean_hessian = 20.0}, time_sampler = {name = "late", share = 0.25}}
[[arm]]
label = "bridge"
path = {name = "bridge", width = 0.2}
training = {target = "force", coupling = {name = "jittered", inner = "minibatch-ot", width = 0.2}}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_page_says_which_losses_and_targets_are_not_the_plain_ones(place):
    (place / "targets.toml").write_text(TOML)
    experiments.train(experiments.read(place / "targets.toml"), place / "run")
    said = page(compare([place / "run"]), [])
    section = said.partition("## Losses and targets")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("- ")]
    assert len(lines) == 2
    assert lines[0].startswith(
        "- force: target 'force'; the loss is ∫ ω(t) E‖v − u‖² dt with ω = 0.75"
    )
    assert lines[1] == "- bridge: target 'force'"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('target = "force", coupling', 'target = "forced", coupling', "did you mean 'force'"),
        ("mean_hessian = 20.0", "mean_hesian = 20.0", "mean_hessian"),
        ("share = 0.25", "share = 2.0", "share"),
        ('inner = "minibatch-ot"', 'inner = "minibach-ot"', "minibatch-ot"),
        ('{name = "bridge", width = 0.2}', '"optimal-transport"', "chooses the prior sample"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_before_training(place, old, new, words):
    (place / "wrong.toml").write_text(TOML.replace(old, new))
    with pytest.raises(ValueError, match=words):
        experiments.train(experiments.read(place / "wrong.toml"), place / "run")
    assert not (place / "run").exists()
