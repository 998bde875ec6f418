"""What was trained isn't lost to damage, signals, callbacks, a second process, or a wish for more."""

import os
import shutil
import signal
import threading
import warnings

import equinox as eqx
import jax
import numpy as np
import pytest

import hiflow as hf
from hiflow._disk import locked
from hiflow.training._optimiser import Scheduled

# Orbax leaves some reads unbegun when one fails.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
POINTS = jax.random.normal(jax.random.key(5), (60, 2))
HELD_OUT = jax.random.normal(jax.random.key(6), (4, 2))
NETWORK = hf.networks.MLP(shape=(2,), width=8, depth=1, key=jax.random.key(1))


def train(**keywords):
    given = {"steps": 12, "batch_size": 8, "checkpoint_every": 3, "progress": False, **keywords}
    path = hf.paths.OptimalTransport()
    return hf.fit(
        NETWORK, path, POINTS, prior=hf.priors.Normal(shape=(2,)), key=jax.random.key(0), **given
    )


@pytest.fixture(scope="module")
def whole():
    return train()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The checkpoints of a run that has ended."""
    place = tmp_path_factory.mktemp("trained") / "run"
    train(checkpoint_dir=place)
    return place


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def newest(run, which=0):
    steps = sorted((int(path.name) for path in (run / "steps").iterdir()), reverse=True)
    return run / "steps" / str(steps[which])


def files_of(place):
    return sorted(path for path in place.rglob("*") if path.is_file())


def halved(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [halved, flipped, os.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(whole, run, damage):
    assert [newest(run, k).name for k in (0, 1)] == ["12", "9"]
    for file in files_of(newest(run)):
        damage(file)
    with pytest.warns(UserWarning, match=r"step 12 is damaged .*goes on from step 9"):
        assert eqx.tree_equal(whole, train(checkpoint_dir=run, resume=True))
    assert [newest(run, k).name for k in (0, 1)] == ["12", "9"]


def test_damage_to_any_one_file_never_changes_the_result(whole, run):
    for index, name in enumerate(path.relative_to(run) for path in files_of(newest(run))):
        copy = shutil.copytree(run, run.with_name(f"copy-{index}"))
        flipped(copy / name)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # Some files aren't needed to read a state.
            assert eqx.tree_equal(whole, train(checkpoint_dir=copy, resume=True)), name


def test_without_a_whole_checkpoint_training_starts_anew(whole, run):
    for which in (0, 1):
        for file in files_of(newest(run, which)):
            halved(file)
    with pytest.warns(UserWarning, match="damaged") as said:
        assert eqx.tree_equal(whole, train(checkpoint_dir=run, resume=True))
    words = [str(each.message) for each in said]
    assert any("step 12 is damaged" in each and "from step 9" in each for each in words)
    assert any("step 9 is damaged" in each and "from the start" in each for each in words)


def test_what_a_killed_process_had_begun_to_write_is_cleared_away(whole, run):
    left = [run / "steps/12.orbax-checkpoint-tmp", run / ".run.json.0a.tmp", run / "steps/3"]
    left[0].mkdir()
    left[1].write_text("{")
    left[2].mkdir()
    (run / "lock").write_text('{"pid": 1, "ho')
    assert eqx.tree_equal(whole, train(checkpoint_dir=run, resume=True))
    assert not any(path.exists() for path in left)
    names = {"history.jsonl", "run.json", "reported.json", "steps"}
    assert {path.name for path in run.iterdir()} == names


def test_states_without_a_name_are_nobodys(run):
    (run / "run.json").unlink()
    with pytest.raises(ValueError, match="whose they are can't be told"):
        train(checkpoint_dir=run, resume=True)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_saves_the_state_and_ends_the_run(whole, tmp_path, monkeypatch, number, error):
    """It comes while the second call's steps are made."""
    from hiflow.training import _stretch

    keywords, logged = {"checkpoint_every": 5, "log_every": 5}, hf.History()
    train(**keywords, history=logged)
    calls, advance = [], _stretch.advance

    def advance_and_signal(*arguments):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), number)
        return advance(*arguments)

    monkeypatch.setattr(_stretch, "advance", advance_and_signal)
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    keywords |= {"checkpoint_dir": tmp_path / "run"}
    with pytest.raises(error) as raised:
        train(**keywords)
    if number == signal.SIGTERM:
        assert raised.value.code == 143
        assert "step 10 is saved" in raised.value.words
    else:
        assert "step 10 is saved. Go on by resume=True" in str(raised.value)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    assert newest(tmp_path / "run").name == "10"
    assert not (tmp_path / "run/lock").exists()
    history = hf.History()
    assert eqx.tree_equal(whole, train(**keywords, resume=True, history=history))
    assert history.column("step") == [5, 10, 12]
    assert history.column("loss") == logged.column("loss")


def test_a_signal_ends_at_once_where_nothing_is_lost(whole, tmp_path, monkeypatch):
    """In the middle of the anchors, and of a validation whose state is saved."""

    def interrupted(*_, **__):
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on")

    keywords = {"checkpoint_dir": tmp_path / "run", "validation": HELD_OUT, "validate_at": 6}
    anchors, validation = "_anchors.make_anchors", "_lane.held_out_score"
    for name in (anchors, validation):
        with monkeypatch.context() as patched:
            patched.setattr(f"hiflow.training.{name}", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train(**keywords)
        assert (tmp_path / "run").exists() == (name == validation)
    assert newest(tmp_path / "run").name == "6"
    rows = []
    resumed = train(**keywords, resume=True, callbacks=[rows.append])
    assert eqx.tree_equal(whole, resumed)
    assert [row["step"] for row in rows] == [6, 12]


def test_handlers_of_others_and_other_threads_are_left_alone(whole, tmp_path):
    came, found = [], []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(1))
    try:
        mine = signal.getsignal(signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        rows = []
        train(callbacks=[lambda row: rows.append(signal.getsignal(signal.SIGINT))])
        assert rows == [mine]
        thread = threading.Thread(target=lambda: found.append(train(checkpoint_dir=tmp_path / "x")))
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [1]
    assert eqx.tree_equal(whole, found[0])


def test_a_callback_that_raises_loses_nothing_and_is_called_again(whole, tmp_path):
    seen = []

    def callback(row):
        seen.append((row["step"], row["loss"]))
        if len(seen) in (1, 3):
            raise RuntimeError("disk full")

    keywords = {"checkpoint_dir": tmp_path / "run", "checkpoint_every": 100}
    keywords |= {"validation": HELD_OUT, "validate_at": [4], "callbacks": [callback]}
    for resume, step in ((False, "4"), (True, "12")):
        with pytest.raises(RuntimeError, match="disk full"):
            train(**keywords, resume=resume)
        assert newest(tmp_path / "run").name == step
    assert eqx.tree_equal(whole, train(**keywords, resume=True))
    assert [step for step, _ in seen] == [4, 4, 12, 12]
    assert seen[0] == seen[1]
    train(**keywords, resume=True)
    assert len(seen) == 4


def test_two_runs_of_one_folder_are_refused(run):
    with locked(run), pytest.raises(ValueError, match=f"in use by process {os.getpid()} on"):
        train(checkpoint_dir=run, resume=True)
    train(checkpoint_dir=run, resume=True)


def test_a_run_is_extended(run, trained, tmp_path):
    longer = train(checkpoint_dir=run, resume=True, steps=20)
    assert eqx.tree_equal(longer, train(checkpoint_dir=run, resume=True, steps=20))
    assert not eqx.tree_equal(longer, train(steps=20)), "the schedule is that of one long run"
    copy = shutil.copytree(trained, tmp_path / "copy")

    def interrupt(row):
        if row["step"] == 15:
            raise KeyboardInterrupt

    halfway = {"validation": HELD_OUT, "validate_at": [15], "callbacks": [interrupt]}
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint_dir=copy, resume=True, steps=20, **halfway)
    assert eqx.tree_equal(longer, train(checkpoint_dir=copy, resume=True, steps=20))
    with pytest.raises(ValueError, match="a run of 20 steps, which can't be made shorter"):
        train(checkpoint_dir=copy, resume=True)


def test_a_run_that_is_extended_has_ended_once(run):
    history, given = hf.History(), {"validation": HELD_OUT, "validate_at": 6}
    train(checkpoint_dir=run, resume=True, steps=20, history=history, **given)
    assert [row["step"] for row in history.rows if "ended" in row] == [20]


def test_the_schedule_begins_again_over_added_steps():
    once = Scheduled("adam", 0.1, 10, 1.0, 100).schedule()
    extended = Scheduled("adam", 0.1, 10, 1.0, 150, earlier=(100,)).schedule()
    over = Scheduled("adam", 0.1, 10, 1.0, 50).schedule()
    for step in (0, 5, 10, 60, 99):
        np.testing.assert_allclose(extended(step), once(step), rtol=1e-6)
    for step in (0, 5, 10, 30, 50):
        np.testing.assert_allclose(extended(100 + step), over(step), rtol=1e-6)
    np.testing.assert_allclose(extended(150), 1e-3, rtol=1e-5)


def test_a_folder_is_claimed_with_the_first_state(tmp_path, monkeypatch):

    def broken(*_, **__):
        raise ValueError("anchors aren't finite")

    with monkeypatch.context() as patched:
        patched.setattr("hiflow.training._anchors.make_anchors", broken)
        with pytest.raises(ValueError, match="aren't finite"):
            train(checkpoint_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train(checkpoint_dir=tmp_path / "run", batch_size=4)


def test_what_validation_would_raise_is_raised_before_training(tmp_path):
    settings = {"divergence": "xtrace", "steps": 2}
    with pytest.raises(ValueError, match="`products` must be at most twice the dimension, 4"):
        train(checkpoint_dir=tmp_path / "run", validation=HELD_OUT, solver_settings=settings)
    assert not (tmp_path / "run").exists()
