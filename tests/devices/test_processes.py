"""`hiflow train --distributed`: two processes share a run folder, and end together."""

import contextlib
import json
import os
import signal
import sys
import time

import pytest
from programs import free_port, started
from typer.testing import CliRunner

from hiflow.cli import app

TOML = """
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
steps = 100_000
batch_size = 8
checkpoint_every = 100
[evaluation]
steps = 4
[[arm]]
label = "OT-FM"
path = {name = "optimal-transport"}
"""


def train(folder, *options, **variables):
    command = [sys.executable, "-m", "hiflow.cli", "train", folder / "long.toml"]
    return started([*map(str, command), "--out", str(folder / "run"), *options], **variables)


def together(folder, *options):
    # A machine that sleeps or is busy isn't dead.
    shared = ["--heartbeat=1000", "--processes=2", *options]
    shared.append(f"--coordinator=localhost:{free_port()}")
    return [train(folder, *shared, f"--process={process}") for process in range(2)]


def saved(folder):
    steps = folder / "run" / "seed-0" / "ot-fm" / "checkpoints" / "steps"
    return max((int(path.name) for path in steps.glob("*") if path.name.isdigit()), default=0)


def wait_for_step(folder, step, running):
    for _ in range(2400):
        if saved(folder) >= step:
            return
        if any(process.poll() is not None for process in running):
            break
        time.sleep(0.1)
    pytest.fail("\n".join(f"{process.poll()}: {process.communicate()[0]}" for process in running))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "long.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def running():
    """Processes that are ended with the test."""
    processes = []
    yield processes
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def test_all_end_with_one_and_the_run_goes_on_from_where_they_were(folder, running):
    running += (asked := together(folder))
    wait_for_step(folder, 100, asked)
    asked[1].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=200)[0] for process in asked]
    assert [process.returncode for process in asked] == [2, 2]
    stopped = saved(folder)
    assert all(f"ended after step {stopped}, as a process was asked to" in text for text in said)

    # One that waits for the other's files, not for its numbers, notices by its silence alone.
    running += (killed := together(folder, "--resume", "--heartbeat=60"))
    wait_for_step(folder, stopped + 100, killed)
    os.kill(killed[1].pid, signal.SIGKILL)
    text = killed[0].communicate(timeout=200)[0]
    assert killed[0].returncode not in (0, None)
    assert "has lost another one" in text or "another task died" in text
    assert saved(folder) > stopped

    rows = (folder / "run" / "run.json").read_text()
    assert json.loads(rows)["seeds"] == [0]
    running.append(alone := train(folder, "--resume"))
    wait_for_step(folder, saved(folder) + 100, [alone])


def test_a_folder_that_the_first_process_refuses_is_refused_by_all(folder, running):
    (folder / "run").mkdir()
    (folder / "run" / "mine.txt").write_text("keep")
    running += (both := together(folder))
    said = [process.communicate(timeout=200)[0] for process in both]
    assert [process.returncode for process in both] == [2, 2]
    assert all("Go on with it by --resume" in text for text in said)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--coordinator=localhost:1"], "--processes, --process must be given too"),
        (["--coordinator=localhost:1", "--processes=2", "--process=2"], "from 0 to one less"),
    ],
)
def test_a_place_among_processes_is_given_whole(folder, options, words):
    result = CliRunner().invoke(app, ["train", str(folder / "long.toml"), *options])
    assert result.exit_code == 2
    assert words in result.output


def test_a_job_of_several_processes_is_found_or_asked_for(folder, running):
    running.append(lost := train(folder, "--distributed"))
    said = lost.communicate(timeout=200)[0]
    assert lost.returncode == 2
    assert "no SLURM or MPI job is around this process" in said
    assert "Pass --coordinator" in said


def test_tasks_of_a_slurm_step_find_each_other(folder, running):
    file = folder / "long.toml"
    file.write_text(file.read_text().replace("100_000", "100"))
    # What srun gives a task; JAX listens at a port that it makes of the job's number.
    step = {"SLURM_JOB_ID": str(free_port()), "SLURM_STEP_NODELIST": "localhost,other"}
    step |= {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_NODES": "1"}
    running += (
        tasks := [
            train(folder, "--distributed", **step, SLURM_PROCID=rank, SLURM_LOCALID=rank)
            for rank in "01"
        ]
    )
    said = [task.communicate(timeout=200)[0] for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], "\n".join(said)
    assert "OT-FM" in said[0]
    assert saved(folder) == 100
