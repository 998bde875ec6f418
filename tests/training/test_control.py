"""Who looks on while a run is trained, what is kept of it, and who may end it."""

import dataclasses
import warnings

import equinox as eqx
import jax
import numpy as np
import pytest

import hiflow as hf
from hiflow.training import Stop

POINTS = jax.random.normal(jax.random.key(5), (40, 2))
HELD_OUT = jax.random.normal(jax.random.key(6), (6, 2)) + 1.0
NETWORK = hf.networks.MLP(shape=(2,), width=8, depth=1, key=jax.random.key(1))
SOLVER = {"method": "Euler", "steps": 2}
# A large rate: the NLL goes up and down.
ROUGH = {"learning_rate": 0.5, "warmup": 0, "ema": 0.0, "validation": HELD_OUT, "validate_at": 2}


def train(**keywords):
    given = {"steps": 16, "batch_size": 8, "log_every": 4, "progress": False, **keywords}
    return hf.fit(
        NETWORK,
        hf.paths.OptimalTransport(),
        POINTS,
        prior=hf.priors.Normal(shape=(2,)),
        key=jax.random.key(0),
        solver_settings=SOLVER,
        **given,
    )


class Looking:
    """A callback that keeps every moment's step and flow."""

    def __init__(self):
        self.flows = {}

    def see(self, moment):
        assert moment.history.rows[-1] is moment.row
        self.flows[moment.row["step"]] = moment.flow


@pytest.fixture(scope="module")
def rough():
    """A whole run with the NLL of every second step, and its flows."""
    looking, history = Looking(), hf.History()
    flow = train(**ROUGH, callbacks=[looking], history=history)
    nll = {row["step"]: row["nll"] for row in history.validations}
    return flow, nll, looking.flows


def first_to_wait(nll, patience):
    """The step at which so many validations in a row were no better, and the best one's."""
    best, waited = min(nll), 0
    for step, value in nll.items():
        if step == min(nll) or value < nll[best]:
            best, waited = step, 0
        else:
            waited += 1
        if waited == patience:
            return step, best
    return max(nll), best


def test_the_best_weights_are_those_of_the_lowest_validation_nll(rough):
    _, nll, flows = rough
    best = min(nll, key=nll.__getitem__)
    assert best < max(nll), "the test needs a run that gets worse"
    history = hf.History()
    assert eqx.tree_equal(train(**ROUGH, keep="best", history=history), flows[best])
    assert (history.rows[-1]["best_step"], history.rows[-1]["ended"]) == (best, "steps")
    np.testing.assert_allclose(history.rows[-1]["best_nll"], nll[best], rtol=1e-6)


@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize("keep", ["last", "best"])
def test_patience_ends_a_run_after_so_many_validations_without_a_better_one(rough, patience, keep):
    _, nll, flows = rough
    end, best = first_to_wait(nll, patience)
    history = hf.History()
    flow = train(**ROUGH, patience=patience, keep=keep, history=history)
    assert (history.rows[-1]["step"], history.rows[-1]["best_step"]) == (end, best)
    assert history.rows[-1]["ended"] == ("patience" if end < max(nll) else "steps")
    assert eqx.tree_equal(flow, flows[best if keep == "best" else end])


@pytest.mark.parametrize("at", [3, 4, 6, 10])
def test_a_resumed_run_has_the_best_weights_and_history_of_an_uninterrupted_one(tmp_path, at):
    keywords = {**ROUGH, "patience": 4, "keep": "best", "checkpoint_every": 3, "log_every": 5}
    whole, resumed, half = hf.History(), hf.History(), tmp_path / "half"
    flow = train(**keywords, history=whole, checkpoint_dir=tmp_path / "whole")

    class Interrupts:
        def see(self, moment):
            if moment.row["step"] >= at:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(**keywords, callbacks=[Interrupts()], checkpoint_dir=half)
    again = train(**keywords, checkpoint_dir=half, resume=True, history=resumed)
    assert eqx.tree_equal(flow, again)
    assert [_timeless(row) for row in resumed.rows] == [_timeless(row) for row in whole.rows]
    third = hf.History()
    assert eqx.tree_equal(flow, train(**keywords, checkpoint_dir=half, resume=True, history=third))
    assert third.rows == resumed.rows
    read, wrong = hf.History.read(half / "history.jsonl")
    assert (read.rows, wrong) == (resumed.rows, None)


def _timeless(row):
    return {name: value for name, value in row.items() if name != "seconds"}


def test_losses_of_a_history_are_means_over_the_steps_between_its_rows():
    fine, coarse = hf.History(), hf.History()
    train(log_every=1, history=fine)
    train(log_every=6, history=coarse)
    assert fine.column("step") == list(range(1, 17))
    assert coarse.column("step") == [6, 12, 16]
    losses = np.asarray(fine.column("loss"))
    means = [losses[:6].mean(), losses[6:12].mean(), losses[12:].mean()]
    np.testing.assert_allclose(coarse.column("loss"), means, rtol=1e-5)


def test_looking_on_changes_nothing(rough):
    plain = {name: value for name, value in ROUGH.items() if not name.startswith("valid")}
    assert eqx.tree_equal(rough[0], train(**plain, log_every=3))


def test_a_table_has_every_row_and_nothing_of_every_point(tmp_path):
    history = hf.History()
    train(validation=HELD_OUT, history=history)
    names, rows = history.table()
    assert "log_prob" not in names
    assert [row[names.index("step")] for row in rows] == [4, 8, 12, 16]
    assert rows[0][names.index("nll")] is None
    history.to_csv(tmp_path / "history.csv")
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0] == ",".join(names)
    assert float(lines[-1].split(",")[names.index("nll")]) == history.rows[-1]["nll"]
    assert repr(history).startswith("History(4 rows to step 16: loss=")


def test_plain_functions_are_called_after_validations_and_objects_every_few_steps(rough):
    rows, looking = [], Looking()
    flow = train(callbacks=[rows.append, looking], validation=HELD_OUT, validate_at=[6])
    assert [row["step"] for row in rows] == [6, 16]
    assert list(looking.flows) == [4, 6, 8, 12, 16]
    assert eqx.tree_equal(looking.flows[16], flow)


@pytest.mark.parametrize("at", [6, 8])
def test_a_callback_ends_a_run_and_ends_it_again_after_a_resume(rough, tmp_path, at):
    class Ends:
        def see(self, moment):
            if moment.row["step"] == at:
                raise Stop("enough")

    after = Looking()
    keywords = {**ROUGH, "validate_at": 6, "checkpoint_dir": tmp_path / "run"}
    for resume in (False, True):
        history = hf.History()
        flow = train(**keywords, resume=resume, callbacks=[Ends(), after], history=history)
        assert (history.rows[-1]["step"], history.rows[-1]["ended"]) == (at, "enough")
        assert eqx.tree_equal(flow, rough[2][at])
        assert max(after.flows) == at, "the callbacks after it are called too"
    assert eqx.tree_equal(train(**keywords, resume=True, history=history), rough[0])
    assert [row for row in history.rows if "ended" in row] == history.rows[-1:]


def scoring(monkeypatch, found):
    """Validations that find these NLLs."""
    found, scored = iter(found), hf.metrics.held_out_score

    def score(*arguments, **keywords):
        return dataclasses.replace(scored(*arguments, **keywords), nll=next(found))

    monkeypatch.setattr("hiflow.training._lane.held_out_score", score)


def test_what_is_not_finite_is_never_the_best(monkeypatch):
    nan, infinite = float("nan"), float("inf")
    scoring(monkeypatch, [nan, 5.0, nan, infinite, 6.0])
    history = hf.History()
    train(**ROUGH, patience=3, keep="best", history=history)
    assert history.rows[-1]["step"] == 10
    assert (history.rows[-1]["best_step"], history.rows[-1]["best_nll"]) == (4, 5.0)


def test_equally_good_weights_are_no_better(monkeypatch):
    scoring(monkeypatch, [5.0] * 8)
    history = hf.History()
    train(**ROUGH, patience=2, history=history)
    assert (history.rows[-1]["step"], history.rows[-1]["best_step"]) == (6, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patience": 0}, "`patience` must be at least 1 and whole; got 0"),
        ({"patience": True}, "`patience` must be at least 1 and whole; got True"),
        ({"keep": "first"}, "`keep` must be one of last, best; got 'first'"),
        ({"log_every": 0}, "`log_every` must be at least 1"),
        ({"patience": 2}, r"`patience` \(2\) judges by validations, and `validate_at`"),
        ({"keep": "best", "validate_at": 4}, "keep='best' judges by the NLL of held-out points"),
        ({"validate_at": 4}, "`validate_at` is 4, and there are no points for it"),
        ({"validate_at": [4]}, r"`validate_at` is \(4,\), and there are no points for it"),
        ({"callbacks": print}, "`callbacks` must be a list of callbacks"),
        ({"callbacks": [3]}, "functions of a row, or objects with a method `see`"),
        ({"callbacks": [Looking]}, "functions of a row, or objects with a method `see`"),
        ({"callbacks": [lambda: None]}, "are called with one argument, a function with the row"),
        ({"history": []}, "`history` must be a hiflow.History to fill; got"),
    ],
)
def test_settings_of_control_are_refused_by_name(change, words):
    with pytest.raises(ValueError, match=words):
        train(**change)


def test_a_run_with_another_choice_is_refused(tmp_path):
    keywords = {**ROUGH, "keep": "best", "checkpoint_dir": tmp_path / "run"}
    train(**keywords)
    for change in ({"validation": HELD_OUT + 1}, {"validate_at": 4}):
        with pytest.raises(ValueError, match="holds another run, with other validation"):
            train(**{**keywords, **change}, resume=True)
    with pytest.raises(ValueError, match=r"with other .*keep"):
        train(**{**keywords, "keep": "last"}, resume=True)


def test_a_damaged_history_is_said_and_changes_nothing(tmp_path):
    flow = train(checkpoint_dir=tmp_path / "run")
    (tmp_path / "run/history.jsonl").write_text('{"step": 4}\n{"ste')
    with pytest.warns(UserWarning, match="history in .* is damaged .*line 2"):
        again = train(checkpoint_dir=tmp_path / "run", resume=True)
    assert eqx.tree_equal(flow, again)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (tmp_path / "run/history.jsonl").unlink()
        train(checkpoint_dir=tmp_path / "run", resume=True)
