"""Maximum likelihood after training: its gradient, and that validation has the last word."""

import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from rich.console import Console

import hiflow as hf
from hiflow import experiments
from hiflow.training._finish import PathGradient, likelihood_loss

KEY = jax.random.key(0)
FEW = {"method": "Heun", "steps": 4}
POINTS = 0.5 * jax.random.normal(jax.random.key(5), (40, 2)) + jnp.array([1.0, -1.0])
OTHERS = 0.5 * jax.random.normal(jax.random.key(6), (30, 2)) + jnp.array([1.0, -1.0])


class Made(hf.energies.AbstractEnergy):
    """Of any function, a wrong one too: `FunctionEnergy` would refuse it."""

    function: Callable = eqx.field(static=True)
    event_shape = (2,)
    group = hf.groups.Trivial()

    def __call__(self, x):
        return self.function(x)


def flow_of(solver=FEW):
    network = hf.networks.MLP(shape=(2,), width=8, depth=1, key=jax.random.key(1))
    return hf.Flow(hf.priors.Normal(2), network, **solver)


def test_the_gradient_is_that_of_finite_differences(x64):
    flow = flow_of()
    weights, _ = eqx.partition(flow.network, eqx.is_inexact_array)
    weights = jax.tree.map(lambda leaf: leaf.astype(float), weights)
    leaves, structure = jax.tree.flatten(weights)
    keys = jax.random.split(jax.random.key(3), len(leaves))
    direction = jax.tree.unflatten(
        structure,
        [jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)],
    )
    x = POINTS[:3].astype(float)

    def along(h):
        moved = jax.tree.map(lambda w, d: w + h * d, weights, direction)
        return float(likelihood_loss(moved, flow, x, KEY))

    gradient = jax.grad(likelihood_loss)(weights, flow, x, KEY)
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: jnp.sum(g * d), gradient, direction)))
    np.testing.assert_allclose(slope, (along(1e-5) - along(-1e-5)) / 2e-5, rtol=1e-6)


def finished(flow, history, **keywords):
    given = {"learning_rate": 0.03, "batch_size": 20, "steps": 30, "validate_at": 10, **keywords}
    return hf.finish(
        flow, POINTS, validation=OTHERS, key=KEY, solver_settings=FEW, history=history, **given
    )


def nll(flow, x):
    return float(-flow.log_prob(x).mean())


def test_the_likelihood_rises_and_the_history_says_by_how_much():
    flow, history = flow_of(), hf.History()
    after = finished(flow, history)
    assert nll(after, OTHERS) < nll(flow, OTHERS) - 0.5
    assert [row["step"] for row in history.rows] == [0, 10, 20, 30]
    np.testing.assert_allclose(history.rows[0]["nll"], nll(flow, OTHERS), rtol=1e-5)
    best = min(history.column("nll"))
    np.testing.assert_allclose(nll(after, OTHERS), best, rtol=1e-5)
    assert (history.rows[-1]["best_nll"], history.rows[-1]["ended"]) == (best, "steps")
    assert eqx.tree_equal(after, finished(flow, hf.History()))


def test_a_schedule_is_followed_and_is_its_table():
    table = {"name": "piecewise_constant_schedule", "init_value": 0.03,
             "boundaries_and_scales": {10: 0.0}}  # fmt: skip
    with_schedule = optax.piecewise_constant_schedule(0.03, {10: 0.0})
    ten = finished(flow_of(), None, steps=10)
    for rate in (table, with_schedule):
        found = finished(flow_of(), None, learning_rate=rate, steps=20)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(ten), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_flow_without_a_likelihood_is_no_better_than_one_that_has_it(monkeypatch):
    found = iter([math.nan, math.nan, 2.0, 3.0])

    def validated(*_, **__):
        return SimpleNamespace(nll=next(found))

    monkeypatch.setattr("hiflow.training._finish.negative_log_likelihood", validated)
    history = hf.History()
    flow = hf.finish(
        flow_of(), POINTS, validation=OTHERS, key=KEY, steps=3, validate_at=1, history=history
    )
    assert history.rows[-1]["best_nll"] == 2.0
    assert not eqx.tree_equal(flow.network, flow_of().network)


def test_a_flow_that_gets_no_better_is_returned_as_it_was():
    good, history = finished(flow_of(), None), hf.History()
    worse = {"learning_rate": 3.0, "validate_at": 1, "patience": 2, "steps": 9}
    after = finished(good, history, **worse)
    assert eqx.tree_equal(after, good)
    assert (history.rows[-1]["step"], history.rows[-1]["ended"]) == (2, "patience")


class Affine(hf.networks.AbstractVelocityField):
    """A flow that can be solved: x = e^a x0 + b (e^a - 1) / a."""

    a: jax.Array
    b: jax.Array
    event_shape = (2,)
    group = hf.groups.Trivial()

    def __call__(self, t, x):
        return self.a * x + self.b


def gradients(loss_of, a, b, x):
    flow = hf.Flow(hf.priors.Normal(2), Affine(jnp.asarray(a), jnp.asarray(b)), "Tsit5", steps=12)
    weights, _ = eqx.partition(flow.network, eqx.is_inexact_array)
    of_one = jax.grad(loss_of)
    return np.array([jax.tree.leaves(of_one(weights, flow, y[None], KEY)) for y in x])


def test_path_gradients_have_the_likelihoods_mean_and_none_of_its_variance_at_the_optimum(x64):
    width, centre = 0.5, 1.0
    energy = hf.energies.Gaussian(jnp.full(2, centre), jnp.eye(2) / width**2)
    # Their mean and covariance are the energy's, and nothing here is of higher order.
    x = centre + width * 2**0.5 * jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found, plain = (gradients(of, 0.3, -0.2, x) for of in (PathGradient(energy), likelihood_loss))
    np.testing.assert_allclose(found.mean(0), plain.mean(0), rtol=1e-4)
    a = np.log(width)
    best = float(a), float(centre * a / (width - 1))
    found, plain = (gradients(of, *best, x) for of in (PathGradient(energy), likelihood_loss))
    np.testing.assert_allclose(found, 0, atol=1e-4)
    assert plain.std(axis=0).min() > 0.5
    np.testing.assert_allclose(plain.mean(0), 0, atol=1e-4)


def test_path_gradients_of_an_energy_that_the_points_do_not_follow_are_warned_of():
    """Correlated points of chains that are known are judged over chains."""
    energy = hf.energies.Gaussian(jnp.array([1.0, -1.0]), 4 * jnp.eye(2))
    few = {"validation": OTHERS, "key": KEY, "steps": 1, "estimator": "path", "energy": energy}
    with pytest.warns(UserWarning, match="don't follow the energy"):
        hf.finish(flow_of(), 1.0 + 2 * POINTS, **few)
    repeated: Any = hf.data.Samples(jnp.repeat(POINTS[:4], 400, axis=0), np.arange(1600) // 400)
    assert hf.data.check_virial(energy, repeated.points).z > 4
    hf.finish(flow_of(), repeated, **few)


def test_validation_points_chains_are_not_the_datas(monkeypatch):
    found = []
    monkeypatch.setattr(
        "hiflow.training._finish.warn_if_inconsistent", lambda *given: found.append(given[2])
    )
    energy = hf.energies.Gaussian(jnp.array([1.0, -1.0]), 4 * jnp.eye(2))
    few = {"key": KEY, "steps": 1, "estimator": "path", "energy": energy}
    held_out: Any = hf.data.Samples(OTHERS, np.arange(30) // 10)
    hf.finish(flow_of(), POINTS, validation=held_out, **few)
    data: Any = hf.data.Samples(POINTS, np.arange(40) // 10)
    hf.finish(flow_of(), data, validation=held_out, **few)
    assert found[0] is None
    np.testing.assert_array_equal(found[1], data.chains)


def test_a_path_gradients_loss_is_the_likelihood():
    energy = hf.energies.Gaussian(jnp.zeros(2), jnp.eye(2))
    weights, _ = eqx.partition(flow_of().network, eqx.is_inexact_array)
    found, expected = (
        float(of(weights, flow_of(), POINTS[:3], KEY))
        for of in (PathGradient(energy), likelihood_loss)
    )
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"estimator": "paths"}, "finish: `estimator` must be one of plain, path"),
        ({"estimator": "path"}, "and there is no energy. Pass `energy`"),
        (
            {"estimator": "path", "energy": hf.energies.FittedGaussian.fit(POINTS, rank=1)},
            "FittedGaussian is fitted to data",
        ),
        (
            {"estimator": "path", "energy": hf.energies.Gaussian(jnp.zeros(3), jnp.eye(3))},
            r"`energy` must be of events of shape \(2,\)",
        ),
        ({"steps": 0}, "finish: `steps` must be at least 1"),
        ({"learning_rate": -1.0}, "finish: `learning_rate` must be a positive number"),
        ({"patience": None}, "finish: `patience` must be at least 1"),
    ],
)
def test_wrong_settings_are_refused_by_name(change, words):
    with pytest.raises(ValueError, match=words):
        finished(flow_of(), None, **change)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: 2 * x, "`energy` must map an event of shape"),
        (lambda x: jnp.nan * x.sum(), "the gradient of `energy` holds NaN or infinity in 40 of 40"),
        (lambda x: jnp.sqrt(jnp.sum(x - x)), "points of `data`, first at index 0. Leave them out"),
    ],
)
def test_an_energy_without_forces_at_the_points_is_refused(function, words):
    with pytest.raises(ValueError, match=words):
        finished(flow_of(), None, estimator="path", energy=Made(function))


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="finish: `data` must have shape"):
        hf.finish(flow_of(), POINTS[:, :1], validation=OTHERS[:, :1], key=KEY)


FINISH = {"steps": 4, "validate_at": 2, "batch_size": 8, "learning_rate": 2e-3}


def trained(**changes):
    given = {
        "prior": "normal", "key": KEY, "validation": OTHERS, "steps": 6, "batch_size": 8,
        "solver_settings": FEW, "progress": False, "finish": FINISH, **changes,
    }  # fmt: skip
    network = {"name": "mlp", "width": 8, "depth": 1}
    return hf.fit(network, "optimal-transport", POINTS, **given)


@pytest.mark.parametrize(
    ("standardise", "more"), [(False, {}), (True, {}), (True, {"estimator": "path"})]
)
def test_as_a_setting_it_follows_the_last_step(standardise, more):
    energy = hf.energies.Gaussian(jnp.array([1.0, -1.0]), 4 * jnp.eye(2))
    plain = trained(finish=None, standardise=standardise)
    key, how = jax.random.fold_in(KEY, 2**32 - 1), FINISH | more
    expected = hf.finish(plain, POINTS, validation=OTHERS, key=key, energy=energy, **how)
    history = hf.History()
    found = trained(history=history, standardise=standardise, finish=how, energy=energy)
    assert not eqx.tree_equal(found, plain)
    assert eqx.tree_equal(found, expected)
    before, after = (history.rows[-1][name] for name in ("nll_trained", "nll_finished"))
    np.testing.assert_allclose((before, after), (nll(plain, OTHERS), nll(found, OTHERS)), rtol=1e-5)


def test_an_energy_that_the_points_do_not_follow_is_warned_of_once():
    energy = hf.energies.Gaussian(jnp.array([1.0, -1.0]), jnp.eye(2))
    with pytest.warns(UserWarning, match="don't follow the energy") as caught:
        trained(finish=FINISH | {"estimator": "path"}, energy=energy)
    assert len(caught) == 1


@pytest.mark.filterwarnings("ignore:the data don't follow")
def test_an_energy_without_forces_at_a_point_is_refused_before_training(monkeypatch):
    """At the last of the points, behind those that are looked at of every energy."""

    def begun(*_):
        raise AssertionError("training has begun")

    monkeypatch.setattr("hiflow.training._fit.train_alone", begun)
    far = POINTS[-1]
    energy = Made(lambda x: jnp.sqrt(jnp.sum((x - far) ** 2)))
    with pytest.raises(ValueError, match="NaN or infinity in 1 of 40 points of `data`"):
        trained(finish=FINISH | {"estimator": "path"}, energy=energy)


def test_cut_while_finishing_it_goes_on_from_the_end_of_training(tmp_path, monkeypatch):
    whole, folder = trained(), tmp_path / "checkpoints"

    def cut(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("hiflow.training._fit.finish", cut)
        with pytest.raises(KeyboardInterrupt):
            trained(checkpoint_dir=folder)
    history = hf.History()
    again = trained(checkpoint_dir=folder, resume=True, history=history)
    assert eqx.tree_equal(again, whole)
    # What the folder has is what the history in memory has, the NLLs before and after included.
    kept = json.loads((folder / "history.jsonl").read_text().splitlines()[-1])
    assert kept == history.rows[-1]
    assert kept["nll_finished"] <= kept["nll_trained"]
    with pytest.raises(ValueError, match="holds another run, with other finish"):
        trained(checkpoint_dir=folder, resume=True, finish={"steps": 3})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"finish": 4}, "`finish` must be a table of settings of hiflow.finish: steps"),
        ({"finish": {"step": 4}}, "has an unknown setting 'step'; did you mean 'steps'"),
        ({"finish": {"steps": 0}}, "says a `steps` that must be at least 1"),
        ({"finish": {"estimator": "path"}}, "takes the forces of the energy"),
        ({"validation": None}, "`finish` judges by the NLL of held-out points"),
    ],
)
def test_a_wrong_setting_is_refused_before_training(changes, words):
    with pytest.raises(ValueError, match=words):
        trained(**changes)


def test_a_source_of_points_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.asarray(POINTS))
    with pytest.raises(ValueError, match="`finish` draws from all data points"):
        hf.fit(
            "mlp", "optimal-transport", np.load(tmp_path / "x.npy", mmap_mode="r"), prior="normal",
            key=KEY, validation=OTHERS, finish=FINISH, progress=False,
        )  # fmt: skip


TOML = """
[energy]
name = "ring"
[data]
size = 20
test = 6
validation = 10
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 4
batch_size = 8
finish = {steps = 2, learning_rate = 0.01}
[evaluation]
solver = "Heun"
steps = 4
[[arm]]
label = "finished"
path = "optimal-transport"
[[arm]]
label = "plain"
path = "optimal-transport"
training = {finish = false}
"""


def test_an_experiments_arm_is_finished_by_validation_points_and_scored_on_test_points(tmp_path):
    file = tmp_path / "finish.toml"
    file.write_text(TOML.replace("validation = 10\n", ""))
    with pytest.raises(ValueError, match="validation = 256"):
        experiments.train(experiments.read(file), tmp_path / "run", console=Console(quiet=True))
    file.write_text(TOML)
    experiment = experiments.read(file)
    experiments.train(experiment, tmp_path / "run", console=Console(quiet=True))
    energy = experiments.make_energy(experiment)
    _, test = experiments.make_data(experiment, energy, 0, progress=False)
    flows = {}
    for label in ("finished", "plain"):
        place = tmp_path / "run/seed-0" / label
        flows[label] = hf.load(place / "flow.hiflow")
        last = hf.History.read(place / "history.jsonl")[0].rows[-1]
        np.testing.assert_allclose(last["log_prob"], flows[label].log_prob(test), rtol=1e-4)
        assert ({"nll_trained", "nll_finished"} <= set(last)) is (label == "finished")
    assert not eqx.tree_equal(flows["finished"].network, flows["plain"].network)


@pytest.mark.parametrize("given", [None, {"method": "Heun", "steps": 2}])
def test_what_is_minimised_is_the_likelihood_by_the_flows_own_solver_unless_another_is_given(given):
    flow, history = flow_of({"rtol": 1e-6, "atol": 1e-6}), hf.History()
    hf.finish(
        flow, POINTS[:1], validation=OTHERS[:1], key=KEY, steps=1, batch_size=2,
        solver_settings=given, history=history,
    )  # fmt: skip
    own, coarse = (
        nll(flow_of(solver), POINTS[:1]) for solver in ({"rtol": 1e-6, "atol": 1e-6}, FEW)
    )
    assert abs(own - coarse) > 1e-4
    expected = own if given is None else nll(flow_of(given), POINTS[:1])
    assert history.rows[-1]["loss"] == pytest.approx(expected, abs=2e-5)
