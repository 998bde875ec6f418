"""An experiment's arms that fail, change, grow or are interrupted, as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time

import equinox as eqx
import pytest
from typer.testing import CliRunner

import hiflow as hf
from hiflow import experiments
from hiflow._disk import locked
from hiflow.cli import app

TOML = """
seeds = [3]
[energy]
name = "ring"
[data]
size = 20
test = 8
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 6
batch_size = 8
[evaluation]
steps = 4
[[arm]]
label = "first"
path = {name = "optimal-transport"}
[[arm]]
label = "wild"
path = {name = "optimal-transport"}
training = {learning_rate = 1000.0, warmup = 0, clip = 1e30, optimiser = "sgd"}
[[arm]]
label = "last"
path = {name = "optimal-transport", sigma_min = 0.1}
"""
TAME = TOML.replace("learning_rate = 1000.0", "learning_rate = 1e-3")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path


def hiflow(*arguments):
    return CliRunner().invoke(app, list(arguments))


def train(place, toml, *more):
    (place / "x.toml").write_text(toml)
    return hiflow("train", "x.toml", *more)


def flows(place):
    return {path.parent.name: path for path in (place / "runs/x").glob("seed-*/*/flow.hiflow")}


def test_one_diverging_arm_leaves_the_others_alone(place):
    result = train(place, TOML)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert "failed: wild (seed 3)." in result.output
    assert set(flows(place)) == {"first", "last"}
    kept = json.loads((place / "runs/x/seed-3/wild/failed.json").read_text())
    assert "FloatingPointError: fit: the loss is" in kept["reason"]
    numbers = json.loads((place / "runs/x/comparison.json").read_text())
    assert [(each["label"], each["seed"]) for each in numbers["failed"]] == [("wild", 3)]
    assert "seed 3" in next(
        line for line in result.output.splitlines() if line.startswith("│ wild")
    )
    page = (place / "runs/x/comparison.md").read_text()
    assert "## Failed" in page
    assert "- wild, seed 3: FloatingPointError" in page

    before = {path: path.stat().st_mtime_ns for path in flows(place).values()}
    again = train(place, TOML, "--resume")
    assert again.exit_code == 1, again.output
    assert "failed before, with the same settings" in again.output

    refused = train(place, TAME.replace("sigma_min = 0.1", "sigma_min = 0.2"), "--resume")
    assert refused.exit_code == 2
    assert "other path of arm 'last'" in refused.output
    mended = train(place, TAME, "--resume")
    assert mended.exit_code == 0, mended.output
    assert set(flows(place)) == {"first", "wild", "last"}
    assert not (place / "runs/x/seed-3/wild/failed.json").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "nothing to do" in train(place, TAME, "--resume").output


def test_if_every_arm_fails_that_is_said_in_a_line(place):
    head, *arms = TOML.split("[[arm]]")
    result = train(place, "[[arm]]".join([head, arms[1]]))
    assert result.exit_code == 2
    assert "failed: wild (seed 3)" in result.output
    assert "Traceback" not in result.output
    assert train(place, TAME, "--resume").exit_code == 0


def test_what_only_scores_depend_on_keeps_what_was_trained(place):
    head, *arms = TAME.split("[[arm]]")
    toml = "[[arm]]".join([head, arms[0]])
    hopeless = toml.replace("[evaluation]\nsteps = 4", "[evaluation]\nrtol = 1e-30\natol = 1e-30")
    result = train(place, hopeless)
    assert result.exit_code == 2
    assert "failed: first (seed 3)" in result.output
    marks = place / "runs/x/seed-3/first/checkpoints/steps/6/commit_success.txt"
    before = next(iter((place / "runs/x/seed-3/first/checkpoints/steps/6").iterdir())).stat()
    assert marks.parent.exists()
    assert train(place, toml, "--resume").exit_code == 0
    after = next(iter((place / "runs/x/seed-3/first/checkpoints/steps/6").iterdir())).stat()
    assert before.st_mtime_ns == after.st_mtime_ns


def test_arms_are_added_and_trained_for_more_steps(place):
    head, *arms = TAME.split("[[arm]]")
    assert train(place, "[[arm]]".join([head, arms[0]])).exit_code == 0
    first = hf.load(flows(place)["first"])
    assert train(place, TAME, "--resume").exit_code == 0
    assert eqx.tree_equal(first, hf.load(flows(place)["first"]))
    longer = TAME.replace("steps = 6", "steps = 9")
    result = train(place, longer, "--resume")
    assert result.exit_code == 0, result.output
    rows = (place / "runs/x/seed-3/first/history.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [6, 9]
    assert not eqx.tree_equal(first, hf.load(flows(place)["first"]))
    shorter = train(place, TAME, "--resume")
    assert shorter.exit_code == 2
    assert "fewer steps" in shorter.output
    gone = train(place, "[[arm]]".join([head.replace("= 6", "= 9"), arms[1]]), "--resume")
    assert gone.exit_code == 2
    assert "arm 'first' is missing" in gone.output


def test_a_folder_in_use_is_refused(place):
    with locked(place / "runs/x"):
        result = train(place, TAME, "--resume")
        assert result.exit_code == 2
        assert f"in use by process {os.getpid()}" in result.output
        assert [path.name for path in (place / "runs/x").iterdir()] == ["lock"]
    assert not (place / "runs/x").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 4", "chunk_size = 0", "`chunk_size` must be at least 1"),
        ("steps = 4", "chunk_size = 2.5", "`chunk_size`"),
        ("steps = 4", 'divergence = "exakt"', "did you mean 'exact'"),
        ("steps = 4", 'divergence = {name = "hutchinson", probes = 0}', "`probes`"),
        ("steps = 4", "key = 3", "unknown setting 'key'"),
        ("steps = 4", 'method = "Euler"', "pass a number of `steps`"),
        ("size = 20", "size = 20\nburn_in = -3", "burn_in"),
    ],
)
def test_what_would_fail_after_training_is_refused_before(place, old, new, message):
    result = train(place, TAME.replace(old, new))
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert not (place / "runs/x").exists()


def test_a_folder_is_claimed_once_its_data_are_made(place):
    toml = TAME + '[[variant]]\nlabel = "many"\nsize = 21\n'
    result = train(place, toml)
    assert result.exit_code == 2
    assert "between 1 and the 20" in result.output
    assert not (place / "runs/x").exists()


@pytest.mark.parametrize(
    ("setting", "value"), [("against", "frist"), ("sweep", 1), ("samples", -2)]
)
def test_a_comparison_is_checked_before_it_is_computed(place, setting, value):
    head, *arms = TAME.split("[[arm]]")
    assert train(place, "[[arm]]".join([head, arms[0]])).exit_code == 0
    with pytest.raises(ValueError, match=f"compare: (no arm '{value}'|`{setting}` must)"):
        experiments.compare(["runs/x"], **{setting: value})


PROGRAM = """
import sys
from hiflow.cli import app
sys.argv = ["hiflow", "train", "x.toml", "--no-cache"]
print("ready", flush=True)
app()
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_with_a_line_that_names_the_way_on(place, number, status):
    (place / "x.toml").write_text(TAME.replace("steps = 6", "steps = 1_000_000"))
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(place / "runs/x/seed-3/first/checkpoints/run.json", running)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == status
    assert said.count("\n") == 1, said
    assert "go on by: hiflow train x.toml --out runs/x --resume" in said
    assert not list((place / "runs").rglob("lock"))
    assert not list((place / "runs").rglob("*.tmp"))


def wait_for(path, running):
    while not path.exists():
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.05)
