"""Evaluation of saved flows of alanine dipeptide: `experiments/aldp/full/evaluate.py`."""

import importlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf

FULL = Path(__file__).parents[1] / "experiments/aldp/full"
N = 3


@pytest.fixture(scope="module")
def scripts():
    """`evaluate` and `cell_files`."""
    sys.path.insert(0, str(FULL))
    yield importlib.import_module("evaluate"), importlib.import_module("cell_files")
    sys.path.remove(str(FULL))


@pytest.fixture(scope="module")
def flow():
    network = hf.networks.EGNN(N, 3, 4, 1, key=jax.random.key(0))
    return hf.Flow(hf.priors.CentredNormal(N, 3), network)


@pytest.fixture
def cells(scripts, flow, tmp_path):
    """Opens two cells whose numbers and samples are of an evaluation that didn't say its steps."""
    evaluate, files = scripts
    for name in ("ot-100-0", "force-100-0"):
        place = tmp_path / "runs" / name
        place.mkdir(parents=True)
        flow.save(place / "flow.hiflow")
        files.note(place, arm=name.split("-")[0], test_log_prob=[1e9] * 50)
        np.savez(place / "samples.npz", plain=np.zeros((1, N, 3)))
    return lambda steps, out="runs": evaluate.opened(
        tmp_path / "runs", tmp_path / out, None, steps, 4
    )


def frames(flow, size):
    return np.asarray(jax.vmap(flow.prior.sample)(jax.random.split(jax.random.key(1), size)))


def value(x):
    return np.square(x).sum((1, 2))


def test_what_is_on_disk_is_the_flow_s_density(scripts, flow, cells):
    evaluate, files = scripts
    x, clock = frames(flow, 6), evaluate.Clock(np.inf)
    cell = cells(8, "out")[1]
    evaluate.score(cell, x, clock)
    evaluate.weigh(cell, 5, value, clock)
    evaluate.draw(cell, 3, value, clock)
    found, held = files.numbers(cell.place), files.samples(cell.place)
    np.testing.assert_allclose(found["test_log_prob"], flow.log_prob(x, steps=8), atol=1e-4)
    assert (found["arm"], found["solver_steps"], found["sampled"]) == ("ot", 8, 8)
    again = flow.log_prob(jnp.asarray(held["x"]), steps=8)
    np.testing.assert_allclose(held["log_prob"], again, atol=1e-2)
    np.testing.assert_allclose(held["energies"], value(held["x"]))
    assert len(np.unique(held["log_prob"])) == 8
    assert held["plain"].shape == (3, N, 3)


def test_an_evaluation_goes_on_where_it_was(scripts, flow, cells, monkeypatch):
    evaluate, files = scripts
    x, clock = frames(flow, 10), evaluate.Clock(np.inf)
    first, second = cells(2), cells(2)
    evaluate.score(first[0], x[:4], clock)
    evaluate.weigh(first[0], 4, value, clock)
    before, drawn = files.numbers(first[0].place), files.samples(first[0].place)
    evaluate.score(second[0], x, clock)
    evaluate.weigh(second[0], 8, value, clock)
    after, more = files.numbers(first[0].place), files.samples(first[0].place)
    assert after["test_log_prob"][:4] == before["test_log_prob"]
    assert len(after["test_log_prob"]) == 10
    np.testing.assert_array_equal(more["x"][:4], drawn["x"])
    # What is there isn't computed again, and other steps begin anew.
    monkeypatch.setattr(evaluate.Clock, "timed", lambda *_: pytest.fail("computed again"))
    evaluate.score(second[0], x, clock)
    evaluate.weigh(second[0], 8, value, clock)
    assert cells(3)[0].so_far() == {}


def test_no_batch_is_begun_that_would_end_too_late(scripts, flow, cells):
    evaluate, files = scripts
    cell, late = cells(2)[0], evaluate.Clock(0.0)
    before = files.numbers(cell.place)
    evaluate.score(cell, frames(flow, 4), late)
    evaluate.weigh(cell, 4, value, late)
    evaluate.draw(cell, 4, value, late)
    assert files.numbers(cell.place) == before
    assert not evaluate.Clock(10.0, took={"score": 11.0}).lets("score")


def test_the_first_of_shuffled_frames_stand_for_all(scripts):
    mixed = scripts[1].shuffled(np.arange(1_000))
    np.testing.assert_array_equal(np.sort(mixed), np.arange(1_000))
    assert abs(mixed[:300].mean() - 500) < 50


def test_a_cell_without_a_flow_is_named(scripts, cells, tmp_path):
    with pytest.raises(SystemExit, match=r"no flow\.hiflow in .* for ot-7-0"):
        scripts[0].opened(tmp_path / "runs", tmp_path / "runs", ["ot-7-0"], 2, 4)
    with pytest.raises(SystemExit, match="no folder in it"):
        scripts[0].opened(tmp_path, tmp_path, None, 2, 4)
