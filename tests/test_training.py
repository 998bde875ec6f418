"""Laws of `fit`: it learns, it repeats, it resumes, and it refuses what doesn't fit together."""

import dataclasses
import inspect
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hiflow as hf
from hiflow._disk import fingerprint
from hiflow.groups import linear_part
from hiflow.training._components import make_components
from hiflow.training._draws import Batches
from hiflow.training._optimiser import Scheduled
from hiflow.training._step import Recipe

KEY = jax.random.key(0)
MEAN, PRECISION = jnp.array([1.0, -1.0]), jnp.array([[4.0, 1.0], [1.0, 2.0]])


@pytest.fixture(scope="module")
def gaussian():
    energy = hf.energies.Gaussian(MEAN, PRECISION)
    root = jnp.linalg.cholesky(jnp.linalg.inv(PRECISION))
    points = MEAN + jax.random.normal(jax.random.key(5), (400, 2)) @ root.T
    return energy, points


def network(width=16):
    return hf.networks.MLP(shape=(2,), width=width, depth=2, key=jax.random.key(1))


def train(points, path=None, **keywords):
    defaults = {
        "prior": hf.priors.Normal(shape=(2,)),
        "key": KEY,
        "steps": 40,
        "batch_size": 32,
        "progress": False,
    }
    path = hf.paths.OptimalTransport() if path is None else path
    return hf.fit(keywords.pop("network", network()), path, points, **{**defaults, **keywords})


def test_training_reaches_the_entropy_of_a_gaussian(gaussian):
    energy, points = gaussian
    path = hf.paths.Linearised(energy=energy, hessian="analytic", rates="saturating")
    rows = []
    train(
        points[100:],
        path,
        network=network(32),
        steps=1500,
        batch_size=128,
        learning_rate=3e-3,
        validation=points[:100],
        callbacks=[rows.append],
    )
    entropy = energy.entropy()[0]
    assert rows[-1]["nll"] < entropy + 0.15 + 2 * rows[-1]["nll_se"]
    assert rows[-1]["nll"] > entropy - 4 * rows[-1]["nll_se"]


def test_the_same_key_gives_the_same_parameters_bit_for_bit(gaussian):
    _, points = gaussian
    first = train(points)
    assert eqx.tree_equal(first, train(points))
    assert not eqx.tree_equal(first, train(points, key=jax.random.key(9)))


def test_the_callers_network_is_left_alone(gaussian):
    _, points = gaussian
    given = network()
    before = jax.tree.map(jnp.copy, eqx.filter(given, eqx.is_array))
    trained = train(points, network=given)
    assert eqx.tree_equal(before, eqx.filter(given, eqx.is_array))
    assert not eqx.tree_equal(trained.network, given)


def test_a_resumed_run_has_the_trajectory_of_an_uninterrupted_one(gaussian, tmp_path):
    _, points = gaussian
    whole = train(points, checkpoint_every=10)

    def interrupt(row):
        if row["step"] == 20:
            raise KeyboardInterrupt

    keywords = {
        "checkpoint_dir": tmp_path / "run",
        "checkpoint_every": 10,
        "validation": 0.9 * points[:5],
        "validate_at": [20],
    }
    with pytest.raises(KeyboardInterrupt):
        train(points, callbacks=[interrupt], **keywords)
    resumed = train(points, resume=True, **keywords)
    assert eqx.tree_equal(whole, resumed)


def test_a_finished_run_resumes_to_its_result(gaussian, tmp_path):
    _, points = gaussian
    first = train(points, checkpoint_dir=tmp_path / "run")
    again = train(points, checkpoint_dir=tmp_path / "run", resume=True)
    assert eqx.tree_equal(first, again)


def test_checkpoints_of_another_run_are_refused(gaussian, tmp_path):
    _, points = gaussian
    train(points, checkpoint_dir=tmp_path / "run")
    with pytest.raises(ValueError, match="holds a run already"):
        train(points, checkpoint_dir=tmp_path / "run")
    with pytest.raises(ValueError, match="can't be made shorter"):
        train(points, checkpoint_dir=tmp_path / "run", resume=True, steps=30)
    for name, changes in {
        "path": {"path": hf.paths.OptimalTransport(sigma_min=0.01)},
        "coupling": {"coupling": "minibatch-ot"},
        "time_sampler": {"time_sampler": "importance"},
        "learning_rate": {"learning_rate": 2e-3},
        "ema": {"ema": 0.9},
    }.items():
        with pytest.raises(ValueError, match=f"another run, with other {name}"):
            train(points, checkpoint_dir=tmp_path / "run", resume=True, **changes)
    with pytest.raises(ValueError, match="needs `checkpoint_dir`"):
        train(points, resume=True)


def test_validation_happens_at_the_chosen_steps(gaussian):
    _, points = gaussian
    rows = []
    train(points, validation=0.9 * points[:5], validate_at=15, callbacks=[rows.append])
    assert [row["step"] for row in rows] == [15, 30, 40]
    assert all(row["nfe"] >= 1 and np.isfinite(row["nll"]) for row in rows)
    chosen = []
    train(points, validation=0.9 * points[:5], validate_at=[7], callbacks=[chosen.append])
    assert [row["step"] for row in chosen] == [7, 40]


def test_validation_does_not_change_the_training(gaussian):
    _, points = gaussian
    assert eqx.tree_equal(train(points), train(points, validation=0.9 * points[:5], validate_at=7))


def test_the_average_follows_the_weights(gaussian):
    _, points = gaussian
    last = train(points, ema=0.0)
    slow = train(points, ema=0.999)
    assert not eqx.tree_equal(last.network, slow.network)
    frozen = train(points, ema=0.0, optimiser=optax.set_to_zero())
    assert eqx.tree_equal(frozen.network, network())


@pytest.mark.parametrize("sampler", ["uniform", "stratified", "importance"])
def test_time_samplers_keep_expectations(sampler):
    draw = hf.time_samplers.registry.make(sampler)
    t, weight = draw(KEY, 200_000)
    assert float(t.min()) >= 0
    assert float(t.max()) < 1
    for power in (0, 1, 3):
        values = weight * t**power
        error = values.std() / np.sqrt(values.size)
        assert abs(values.mean() - 1 / (power + 1)) < 4 * error + 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"validate_at": 0}, "`validate_at` must be at least 1"),
        ({"warmup": -1}, "`warmup` must be at least 0"),
        ({"ema": 1.0}, r"`ema` must be in \[0, 1\)"),
        ({"learning_rate": -1e-3}, "`learning_rate` must be a positive number"),
        ({"clip": 0.0}, "`clip` must be a positive number"),
        ({"anchor_dtype": "float8"}, "`anchor_dtype` must be one of"),
        ({"optimiser": "adamm"}, "name of one of Optax's"),
        ({"coupling": "optimal"}, "no component is called 'optimal'"),
        ({"prior": hf.priors.Normal(shape=(3,))}, "`network` .* is for events of shape"),
        ({"prior": hf.priors.Normal(shape=(2,), scale=2.0)}, "Pass prior_scale=2.0"),
        ({"solver_settings": {"rtol": -1.0}}, "`rtol` must be positive"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_arguments_are_refused(gaussian, tmp_path, change, message):
    _, points = gaussian
    with pytest.raises((ValueError, LookupError), match=message):
        train(points, checkpoint_dir=tmp_path / "run", **change)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda x: x.at[3, 0].set(jnp.nan),
            "NaN or infinity in 1 of 400 samples, first at index 3",
        ),
        (lambda x: x[:, :1], r"must have shape \(n, 2\)"),
        (lambda x: x[0], r"must have shape \(n, 2\)"),
        (lambda x: x[:0], "n ≥ 1"),
        (lambda x: x.astype(int), "float type"),
    ],
)
def test_bad_data_are_refused(gaussian, tmp_path, spoil, message):
    _, points = gaussian
    with pytest.raises(ValueError, match=message):
        train(spoil(points), checkpoint_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_prior_without_the_energys_symmetry_is_refused():
    energy = hf.energies.LennardJones.preset("lj13")
    path = hf.paths.Linearised(energy=energy, hessian="analytic")
    centred = hf.priors.CentredNormal(particles=13, dim=3)
    with pytest.raises(ValueError, match=r"not invariant under .*CentredNormal"):
        hf.fit(
            hf.networks.EGNN(particles=13, dim=3, width=4, depth=1, key=KEY),
            path,
            jax.vmap(centred.sample)(jax.random.split(KEY, 4)),
            prior=hf.priors.Normal(shape=(13, 3)),
            key=KEY,
            steps=1,
            progress=False,
        )


def test_data_off_the_priors_subspace_are_refused():
    prior = hf.priors.CentredNormal(particles=4, dim=2)
    points = jax.random.normal(KEY, (10, 4, 2))
    net = hf.networks.EGNN(particles=4, dim=2, width=4, depth=1, key=KEY)
    with pytest.raises(ValueError, match="Centre them first"):
        hf.fit(net, hf.paths.OptimalTransport(), points, prior=prior, key=KEY, steps=1)


def test_a_network_that_leaves_the_subspace_is_refused():
    prior = hf.priors.CentredNormal(particles=4, dim=2)
    points = jax.vmap(prior.sample)(jax.random.split(KEY, 10))
    free = hf.networks.MLP(shape=(4, 2), width=8, depth=1, key=KEY)
    free = jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_inexact_array(leaf) else leaf, free)
    with pytest.raises(ValueError, match="give the network the projection"):
        hf.fit(free, hf.paths.OptimalTransport(), points, prior=prior, key=KEY, steps=1)


def test_data_of_another_convention_are_warned_of(gaussian):
    energy, points = gaussian
    path = hf.paths.Linearised(energy=energy, hessian="analytic")
    with pytest.warns(UserWarning, match=r"E\[x·∇V\]"):
        train(MEAN + 2 * (points - MEAN), path, steps=1)


def test_plenty_of_thermal_samples_with_a_langevin_end_law_are_warned_of(gaussian):
    energy, _ = gaussian
    root = jnp.linalg.cholesky(jnp.linalg.inv(PRECISION))
    points = MEAN + jax.random.normal(jax.random.key(7), (2000, 2)) @ root.T
    langevin = hf.paths.Langevin(energy=energy, hessian="analytic")
    for path in (langevin, hf.paths.Displacement(langevin)):
        with pytest.warns(UserWarning, match="counts the thermal noise twice"):
            train(points, path, steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(points[:200], langevin, steps=1)


def test_anchors_that_are_not_finite_are_refused():
    energy = hf.energies.DoubleWell()
    shifted = hf.spectral.Shifted(shift=1.0, least=0.0)
    path = hf.paths.Linearised(energy=energy, rates=shifted)
    with pytest.raises(ValueError, match=r"not finite at .* of 5 data points"):
        hf.paths.make_anchors(path, jnp.zeros((5, 2)))


def test_divergence_of_the_loss_stops_the_run(gaussian):
    _, points = gaussian
    with pytest.raises(FloatingPointError, match="Lower `learning_rate`"):
        train(points, optimiser=optax.sgd(1e30), steps=60)


@pytest.mark.gpu
def test_training_repeats_on_the_gpu(gaussian):
    _, points = gaussian
    assert eqx.tree_equal(train(points), train(points))


def test_augmentation_turns_samples_and_targets_alike():
    energy, prior = hf.energies.LennardJones(4, 3), hf.priors.CentredNormal(4, 3)
    points = jax.vmap(prior.sample)(jax.random.split(jax.random.key(0), 6))
    path, key = hf.paths.OptimalTransport(group=prior.group), jax.random.key(1)
    parts = (hf.couplings.Independent(), hf.time_samplers.Uniform())
    anchors = jax.vmap(path.anchor)(points)

    def batch(symmetry):
        draw = Batches(points, prior, *parts, symmetry, key, size=16).draw(jnp.asarray(3))
        return draw, Recipe(
            anchors, path, None, symmetry, Scheduled("adam", 1.0, 1, 1.0, 1), 0.0
        ).batch(draw)

    _, (t, _, x, target, _) = batch(None)
    draw, (t_turned, _, x_turned, target_turned, _) = batch(energy.group)
    np.testing.assert_array_equal(t, t_turned)
    assert float(jnp.abs(x - x_turned).max()) > 0.1
    turn = jax.vmap(lambda g, y: linear_part(energy.group, g, y))
    np.testing.assert_allclose(turn(draw.turns, x), x_turned, atol=1e-5)
    np.testing.assert_allclose(turn(draw.turns, target), target_turned, atol=1e-5)
    # Haar: on average nothing is left of a direction.
    assert float(jnp.abs(x_turned.sum(axis=1)).max()) < 1e-4


def test_particles_out_of_the_networks_range_are_warned_of():
    prior = hf.priors.CentredNormal(4, 2)
    square = 2.5 * jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.3, 1.3]])
    points = jnp.stack([square - square.mean(0)] * 3)
    near, far = (
        hf.networks.EGNN(4, 2, width=4, depth=1, length=length, key=KEY) for length in (1.0, 2.5)
    )
    assert far.complaint(points) is None
    with pytest.warns(UserWarning, match=r"Pass length=2\.5"):
        hf.fit(
            near, hf.paths.OptimalTransport(group=prior.group), points, prior=prior, key=KEY,
            steps=1, batch_size=2, progress=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"steps": True},
        {"steps": 10.0},
        {"batch_size": "32"},
        {"learning_rate": 1e300},
        {"learning_rate": float("nan")},
        {"learning_rate": "0.001"},
        {"learning_rate": True},
        {"warmup": 1.5},
        {"clip": float("inf")},
        {"ema": False},
        {"augment": "false"},
        {"augment": 1},
        {"validate_at": 2.5},
        {"validate_at": [5, 0]},
        {"validate_at": "all"},
        {"coupling": 3},
        {"coupling": {"nme": "independent"}},
        {"optimiser": "apply_updates"},
        {"anchor_dir": 3},
        {"anchor_dtype": 16},
        {"checkpoint_every": 0},
    ],
    ids=str,
)
def test_a_setting_of_another_kind_is_refused_by_name(change):
    ((name, _),) = change.items()
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        hf.Training(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"rtol": "1"},
        {"rtol": True},
        {"atol": 0.0},
        {"atol": float("inf")},
        {"steps": 0},
        {"steps": 2.0},
        {"chunk_size": 1.5},
        {"chunk_size": "128"},
        {"method": "tsit5"},
        {"method": 3},
    ],
    ids=str,
)
def test_a_solver_setting_of_another_kind_is_refused_by_name(change):
    ((name, _),) = change.items()
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        hf.Solver(**change)


def test_the_identity_is_of_all_that_the_weights_depend_on():
    same = hf.Training().identity()
    watched = {
        "validate_at": 5,
        "log_every": 7,
        "anchor_dir": "elsewhere",
        "anchor_budget": 7,
        "checkpoint_every": 7,
        "shard_parameters": True,
        "shard_anchors": True,
    }
    assert hf.Training(**watched).identity() == same
    others = {
        "steps": 7,
        "batch_size": 7,
        "learning_rate": 0.7,
        "warmup": 7,
        "clip": 0.7,
        "optimiser": "sgd",
        "ema": 0.7,
        "coupling": "minibatch-ot",
        "time_sampler": "uniform",
        "target": "force",
        "augment": True,
        "condition_dropout": 0.1,
        "compute": "bfloat16",
        "anchor_dtype": "float16",
        "standardise": True,
        "patience": 7,
        "keep": "best",
        "finish": {"steps": 7},
    }
    assert {*others, *watched} == {field.name for field in dataclasses.fields(hf.Training)}
    for name, other in others.items():
        found = hf.Training(**{name: other}).identity()
        assert [part for part in same if found[part] != same[part]] == [name]


def test_settings_are_one_object_a_table_or_keywords(gaussian):
    _, points = gaussian
    by_keyword = train(points)
    same: dict[str, Any] = {"steps": 40, "batch_size": 32}
    arguments = (network(), hf.paths.OptimalTransport(), points)
    common = {"prior": hf.priors.Normal(2), "key": KEY, "progress": False}
    for training in (same, hf.Training(**same)):
        assert eqx.tree_equal(by_keyword, hf.fit(*arguments, training=training, **common))
    shorter = hf.Training(steps=3, batch_size=32)
    assert eqx.tree_equal(by_keyword, hf.fit(*arguments, training=shorter, steps=40, **common))
    with pytest.raises(TypeError, match="did you mean 'learning_rate'"):
        hf.fit(*arguments, learnin_rate=1e-3, **common)


def test_help_shows_every_setting():
    shown = inspect.signature(hf.fit).parameters
    for field in dataclasses.fields(hf.Training):
        assert shown[field.name].default == field.default


def test_components_may_be_named(gaussian):
    _, points = gaussian
    flow = hf.fit(
        {"name": "mlp", "width": 8},
        {"name": "langevin", "energy": {"name": "ring"}},
        points,
        prior="normal",
        key=KEY,
        steps=2,
        progress=False,
    )
    assert isinstance(flow.network, hf.networks.MLP)
    assert flow.network.layers[0].weight.shape[0] == 8


def test_named_components_know_the_priors_symmetry_and_scale():
    prior = {"name": "centred-normal", "scale": 2.0}
    made, path, start, _ = make_components("mlp", "optimal-transport", prior, None, (4, 2), KEY)
    assert isinstance(made.group, hf.groups.Translation)
    assert isinstance(path, hf.paths.OptimalTransport)
    assert isinstance(start, hf.priors.CentredNormal)
    assert path.prior_scale == start.scale == 2.0


def test_runs_that_differ_in_one_part_are_told_apart(gaussian, tmp_path):
    """Each of these went on with the other's checkpoints once: same shapes, same classes."""
    _, points = gaussian

    def energy(function):
        return hf.paths.Langevin(hf.energies.FunctionEnergy(function, shape=(2,)))

    def tanh():
        return hf.networks.MLP(2, width=16, depth=2, activation="tanh", key=jax.random.key(1))

    scale = 2.0
    pairs = {
        "path": (
            {"path": energy(lambda x: (x**2).sum() / 2)},
            {"path": energy(lambda x: (x**4).sum())},
        ),
        "network": ({}, {"network": tanh()}),
        "optimiser": ({"optimiser": optax.adam(1e-3)}, {"optimiser": optax.adam(2e-3)}),
    }
    for name, (first, second) in pairs.items():
        run = {"checkpoint_dir": tmp_path / name, "steps": 1}
        train(points[:20], **run, **first)
        train(points[:20], **run, **first, resume=True)
        with pytest.raises(ValueError, match=f"another run, with other {name}"):
            train(points[:20], **run, **second, resume=True)
    assert fingerprint(a=jnp.zeros((2, 3))) != fingerprint(a=jnp.zeros(6))
    assert fingerprint(a=jnp.zeros(2)) != fingerprint(a=np.zeros(2, np.float64))
    one = fingerprint(f=lambda x: scale * x)
    scale = 3.0
    assert one != fingerprint(f=lambda x: scale * x)
