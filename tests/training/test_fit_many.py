"""Flows that are trained together are those of their own runs, up to rounding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.training import _anchors

RING = hf.energies.Ring()
PRIOR = hf.priors.Normal(2)
KEYS = jax.random.split(jax.random.key(1), 3)
SETS = [jax.random.normal(jax.random.key(i), (30, 2)) for i in range(3)]
HELD_OUT = jax.random.normal(jax.random.key(6), (6, 2)) + 1.0
LABELS = jnp.arange(30) % 2
NETWORK = {"name": "mlp", "width": 8, "depth": 1}
SOLVER = {"method": "Euler", "steps": 2}
COMMON = {
    "prior": PRIOR,
    "steps": 60,
    "batch_size": 8,
    "learning_rate": 0.01,
    "warmup": 0,
    "solver_settings": SOLVER,
    "progress": False,
}
LANGEVIN = hf.paths.Langevin(RING, curvature="absolute")
RUNS = {
    "plain": {"path": hf.paths.OptimalTransport(), "data": SETS[0]},
    "a set for each": {"path": hf.paths.OptimalTransport(), "data": SETS, "standardise": True},
    "pairs": {"path": hf.paths.OptimalTransport(), "data": SETS[0], "coupling": "minibatch-ot"},
    "noise of its own": {
        "path": hf.paths.Langevin(RING, curvature="absolute", noise="own"),
        "data": SETS,
        "augment": True,
    },
    "conditions": {
        "path": hf.paths.OptimalTransport(),
        "data": SETS[0],
        "condition": LABELS,
        "condition_dropout": 0.2,
    },
    "a network for each": {
        "path": hf.paths.OptimalTransport(),
        "data": SETS[0],
        "network": [hf.networks.MLP((2,), 8, 1, key=jax.random.key(i)) for i in (4, 5, 6)],
    },
}
# A large rate: the NLL goes up and down, and the flows' runs are over after 10, 6 and 14 steps.
ROUGH_KEYS = jax.random.split(jax.random.key(2), 3)
ROUGH = {
    **COMMON, **RUNS["plain"], "network": NETWORK, "learning_rate": 0.1, "ema": 0.0, "steps": 14,
    "validation": HELD_OUT, "validate_at": 2, "patience": 2, "keep": "best", "log_every": 3,
}  # fmt: skip
pytestmark = [
    pytest.mark.filterwarnings("ignore:the data don't follow"),
    pytest.mark.filterwarnings("ignore:fit. `data` are far"),
]


def one(given, i):
    """What the run of one flow is given."""
    each = ("network", "data", "validation", "condition")
    return {
        name: value[i] if name in each and isinstance(value, list) else value
        for name, value in given.items()
    }


def assert_alike(flow, other, rtol=2e-4):
    leaves = [jax.tree.leaves(eqx.filter(each, eqx.is_array)) for each in (flow, other)]
    assert len(leaves[0]) == len(leaves[1])
    for a, b in zip(*leaves, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=2e-5)


@pytest.mark.parametrize("name", RUNS)
def test_every_flow_is_that_of_its_own_run(name):
    given = {"network": NETWORK, **COMMON, **RUNS[name]}
    flows = hf.fit_many(**given, keys=KEYS)
    assert len(flows) == len(KEYS)
    for i, flow in enumerate(flows):
        assert_alike(flow, hf.fit(**one(given, i), key=KEYS[i]))
    assert not np.allclose(*(jax.tree.leaves(flow.network)[0] for flow in flows[:2]))


def test_every_run_ends_and_keeps_its_weights_by_itself():
    histories, ends = [hf.History() for _ in ROUGH_KEYS], []
    flows = hf.fit_many(**ROUGH, keys=ROUGH_KEYS, histories=histories)
    for key, flow, history in zip(ROUGH_KEYS, flows, histories, strict=True):
        alone = hf.History()
        assert_alike(flow, hf.fit(**ROUGH, key=key, history=alone))
        for name in ("step", "loss", "nll", "best_step", "best_nll"):
            np.testing.assert_allclose(history.column(name), alone.column(name), rtol=1e-3)
        assert history.rows[-1]["ended"] == alone.rows[-1]["ended"]
        ends.append(alone.rows[-1]["step"])
    assert len(set(ends)) > 1


def test_one_flow_or_raw_keys_are_as_good():
    given = {"network": NETWORK, **COMMON, **RUNS["plain"], "steps": 5}
    (flow,) = hf.fit_many(**given, keys=[KEYS[0]])
    (raw,) = hf.fit_many(**given, keys=jax.random.key_data(KEYS)[:1])
    alone = hf.fit(**given, key=KEYS[0])
    assert_alike(flow, alone)
    assert_alike(raw, alone)


def test_anchors_that_all_share_are_made_once(monkeypatch):
    calls, make = [], _anchors.make_anchors
    monkeypatch.setattr(_anchors, "make_anchors", lambda *a, **k: calls.append(1) or make(*a, **k))
    given = {"network": NETWORK, **COMMON, "path": LANGEVIN, "steps": 1}
    hf.fit_many(**given, data=SETS[0], keys=KEYS)
    assert len(calls) == 1
    hf.fit_many(**given, data=SETS, keys=KEYS)
    assert len(calls) == 1 + len(SETS)


def test_anchors_of_one_data_set_are_made_once_whatever_it_is_and_the_path_is(monkeypatch):
    calls, make = [], _anchors.make_anchors
    monkeypatch.setattr(_anchors, "make_anchors", lambda *a, **k: calls.append(1) or make(*a, **k))
    table = {"name": "langevin", "curvature": "absolute"}
    networks = RUNS["a network for each"]["network"]
    given = {**COMMON, "network": networks, "path": table, "energy": RING, "standardise": True}
    given |= {"data": np.asarray(SETS[0]), "validation": [HELD_OUT] * 3}
    flows = hf.fit_many(**given, keys=KEYS)
    assert len(calls) == 1
    for i, flow in enumerate(flows):
        assert_alike(flow, hf.fit(**one(given, i), key=KEYS[i]))


def wide(i):
    return hf.networks.MLP((2,), 4 + i, 1, key=KEYS[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keys": jax.random.key(0)}, "several PRNG keys"),
        ({"keys": []}, "`keys` is empty"),
        ({"keys": [0, 1, 2]}, r"`keys`\[0\] must be a PRNG key"),
        ({"data": SETS[:2]}, "`data` has one for every flow; it has 2"),
        ({"data": [SETS[0], SETS[1], SETS[2][:20]]}, "`data` of flow 2 differs .*30.*20|20.*30"),
        ({"validation": [HELD_OUT]}, "`validation` has one for every flow"),
        ({"network": [wide(0), wide(0), wide(1)]}, "`network` of flow 2 differs"),
        ({"histories": [hf.History()]}, "`histories` has 1"),
        ({"histories": [hf.History()] * 3}, "different histories"),
        ({"finish": {"steps": 2}}, "`finish` is for one flow"),
        ({"anchor_dir": "kept"}, "`anchor_dir` is for one flow"),
        ({"shard_anchors": True}, "`shard_anchors` is for one flow"),
        ({"anchor_budget": 100}, "anchors of all flows are held in memory"),
        ({"keep": "best", "validate_at": 10}, "pass `validation`"),
        ({"validate_at": 10, "validation": None}, "`validate_at` is 10, and there are no points"),
        ({"steps": 0}, "`steps` must be at least 1"),
    ],
)
def test_what_is_for_one_flow_or_unlike_is_refused_before_any_work(change, words, monkeypatch):
    monkeypatch.setattr("hiflow.training._fit_many.train_together", lambda *a: pytest.fail("work"))
    given = {"network": NETWORK, **COMMON, **RUNS["plain"], "keys": KEYS, **change}
    with pytest.raises(ValueError, match=words):
        hf.fit_many(**given)


def test_arguments_of_fit_alone_are_refused_by_name():
    given = {"network": NETWORK, **COMMON, **RUNS["plain"], "keys": KEYS}
    with pytest.raises(TypeError, match="`callbacks` is for one flow"):
        hf.fit_many(**given, callbacks=[print])


def test_rows_that_are_read_as_they_are_needed_are_refused(tmp_path):
    np.save(tmp_path / "points.npy", np.asarray(SETS[0]))
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    given = {"network": NETWORK, **COMMON, **RUNS["plain"], "keys": KEYS, "data": mapped}
    with pytest.raises(ValueError, match="points in memory"):
        hf.fit_many(**given)


def test_the_flow_whose_loss_is_lost_is_named():
    network = [hf.networks.MLP((2,), 8, 1, key=KEYS[0])] * 3
    lost = jax.tree.map(
        lambda leaf: leaf * jnp.nan if eqx.is_inexact_array(leaf) else leaf, network[1]
    )
    given = {**COMMON, **RUNS["plain"], "steps": 2, "network": [network[0], lost, network[2]]}
    with pytest.raises(FloatingPointError, match="of flow 1 is nan"):
        hf.fit_many(**given, keys=KEYS)
