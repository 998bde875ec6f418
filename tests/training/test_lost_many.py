"""Flows that are trained together and cut short are resumed to what they would have been."""

import os
import shutil
import signal

import equinox as eqx
import jax
import numpy as np
import pytest

import hiflow as hf
from hiflow.training import _lane, _together

# As in `test_lost_runs`.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
POINTS = jax.random.normal(jax.random.key(0), (30, 2))
HELD_OUT = jax.random.normal(jax.random.key(6), (6, 2)) + 1.0
KEYS = jax.random.split(jax.random.key(2), 3)
# A large rate: the NLL goes up and down.
ROUGH = {
    "learning_rate": 0.1, "warmup": 0, "ema": 0.0, "validation": HELD_OUT, "validate_at": 2,
    "patience": 2, "solver_settings": {"method": "Euler", "steps": 2},
}  # fmt: skip
# Stops are 2, 3, 4, 5, 6, 8, 9, 10, 12 and 14, a call each. All three flows are validated at 2, 4 and 6,
# then two of them at 8 and 10, and one at 12 and 14.
ENDS = [10, 6, 14]


def train(histories=None, **changes):
    given = {
        "network": {"name": "mlp", "width": 8, "depth": 1}, "path": hf.paths.OptimalTransport(),
        "data": POINTS, "prior": hf.priors.Normal(2), "keys": KEYS, "steps": 14, "batch_size": 8,
        "log_every": 3, "checkpoint_every": 5, "progress": False, **changes,
    }  # fmt: skip
    return hf.fit_many(**given, histories=histories)


def new():
    return [hf.History() for _ in KEYS]


def rows(histories):
    """All but the time that they took."""
    return [[{**row, "seconds": 0} for row in history.rows] for history in histories]


@pytest.fixture(scope="module", params=["last", "best"])
def whole(request):
    histories = new()
    flows = train(histories, **ROUGH, keep=request.param)
    assert [history.rows[-1]["step"] for history in histories] == ENDS
    return request.param, flows, rows(histories)


def counted(monkeypatch, where, name, at, before):
    """A function before whose call of this number something is done."""
    calls, function = [], getattr(where, name)

    def called(*arguments, **keywords):
        calls.append(1)
        if len(calls) == at:
            before()
        return function(*arguments, **keywords)

    monkeypatch.setattr(where, name, called)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def killed():
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("where", "name", "at", "before", "error", "newest"),
    [
        (_together, "advance_together", 2, interrupt, KeyboardInterrupt, 3),
        (_together, "advance_together", 6, interrupt, KeyboardInterrupt, 8),
        (_together, "advance_together", 9, interrupt, KeyboardInterrupt, 12),
        (_together, "advance_together", 2, killed, RuntimeError, 2),
        (_together, "advance_together", 7, killed, RuntimeError, 8),
        (_lane, "held_out_score", 1, interrupt, KeyboardInterrupt, 2),
        (_lane, "held_out_score", 5, interrupt, KeyboardInterrupt, 4),
        (_lane, "held_out_score", 11, interrupt, KeyboardInterrupt, 8),
        (_lane, "held_out_score", 15, killed, RuntimeError, 14),
    ],
)
def test_a_run_that_is_cut_is_resumed_to_the_same_flows_and_histories(
    whole, tmp_path, monkeypatch, where, name, at, before, error, newest
):
    keep, flows, expected = whole
    given = {**ROUGH, "keep": keep, "checkpoint_dir": tmp_path / "run"}
    with monkeypatch.context() as patched:
        counted(patched, where, name, at, before)
        with pytest.raises(error):
            train(**given)
    assert max(int(path.name) for path in (tmp_path / "run/steps").iterdir()) == newest
    histories = new()
    for _ in range(2):
        assert eqx.tree_equal(flows, train(histories, **given, resume=True))
        assert rows(histories) == expected
    for i, history in enumerate(histories):
        read, wrong = hf.History.read(tmp_path / f"run/history-{i}.jsonl")
        assert (read.rows, wrong) == (history.rows, None)


def test_one_that_is_over_stays_so_where_the_others_are_given_more_steps(tmp_path):
    given = {**ROUGH, "checkpoint_dir": tmp_path / "run"}
    short = train(**given)
    histories = new()
    longer = train(histories, **given, resume=True, steps=18)
    assert [history.rows[-1]["step"] for history in histories][:2] == ENDS[:2]
    assert [sum("ended" in row for row in history.rows) for history in histories] == [1, 1, 1]
    assert histories[2].rows[-1]["step"] > ENDS[2]
    assert eqx.tree_equal(short[:2], longer[:2])
    assert not eqx.tree_equal(short[2], longer[2])
    assert eqx.tree_equal(longer, train(**given, resume=True, steps=18))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("trained") / "run"
    return place, train(checkpoint_dir=place)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resume": False}, "holds a run already"),
        ({"keys": KEYS[:2]}, "another run, with other keys, number of flows"),
        ({"keys": KEYS[::-1]}, "another run, with other keys"),
        ({"data": POINTS + 1}, "another run, with other data"),
        ({"data": [POINTS, POINTS + 1, POINTS]}, "another run, with other data"),
        ({"condition": np.arange(30) % 2}, "another run, with other network, condition"),
        ({"batch_size": 4}, "another run, with other batch_size"),
        ({"coupling": "minibatch-ot"}, "another run, with other coupling"),
        ({"steps": 12}, "can't be made shorter"),
        ({"checkpoint_dir": None}, "`resume` needs `checkpoint_dir`"),
    ],
)
def test_checkpoints_of_other_runs_are_refused_by_name(trained, changes, words):
    given = {"checkpoint_dir": trained[0], "resume": True, **changes}
    with pytest.raises(ValueError, match=f"^fit_many: .*{words}"):
        train(**given)


def test_data_that_are_said_for_each_are_those_that_all_share(trained, tmp_path):
    place, flows = trained
    copy = shutil.copytree(place, tmp_path / "run")
    given = {"checkpoint_dir": copy, "resume": True, "data": [POINTS] * 3}
    assert eqx.tree_equal(flows, train(**given))


def test_checkpoints_of_one_flow_and_of_several_are_told_apart(tmp_path):
    given = {"path": "optimal-transport", "data": POINTS, "prior": hf.priors.Normal(2)}
    given |= {"network": "mlp", "steps": 2, "progress": False}
    hf.fit_many(**given, keys=KEYS[:1], checkpoint_dir=tmp_path / "many")
    with pytest.raises(ValueError, match="another run, with other key"):
        hf.fit(**given, key=KEYS[0], checkpoint_dir=tmp_path / "many", resume=True)
    hf.fit(**given, key=KEYS[0], checkpoint_dir=tmp_path / "one")
    with pytest.raises(ValueError, match="another run, with other keys, number of flows"):
        hf.fit_many(**given, keys=KEYS[:1], checkpoint_dir=tmp_path / "one", resume=True)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(trained, tmp_path):
    place, flows = trained
    copy = shutil.copytree(place, tmp_path / "run")
    for file in copy.glob("steps/14/**/*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.warns(UserWarning, match=r"step 14 is damaged .*goes on from step 10"):
        assert eqx.tree_equal(flows, train(checkpoint_dir=copy, resume=True))
