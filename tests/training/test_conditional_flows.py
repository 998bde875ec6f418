"""Conditional flows: their densities, training, and couplings that leave the prior alone."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import hiflow as hf
from hiflow.couplings import EquivariantOT, Independent, MinibatchOT, SymmetryAligned
from hiflow.networks import AbstractVelocityField, Labels, Vector, conditions_of
from hiflow.networks._conditioned import rows_of
from hiflow.training._draws import Batches

KEY = jax.random.key(0)
PRIOR = hf.priors.Normal(2)


class Shift(AbstractVelocityField):
    r"""$v(t, x, c) = m_c$, with $m = 0$ for no class: every class is the prior moved by its mean."""

    means: Float[Array, "classes dim"]
    conditions: Labels
    event_shape = (2,)
    group = hf.groups.Trivial()

    def __call__(self, t, x, condition=None):
        if condition is None:
            return jnp.zeros_like(x)
        return jnp.where(condition < 0, 0 * self.means[0], self.means[condition])


@pytest.fixture(scope="module")
def shifted():
    conditions = Labels(2, key=KEY)
    means = jnp.asarray([[2.0, 0.0], [-1.0, 3.0]])
    return hf.Flow(PRIOR, Shift(means, conditions), steps=2, method="Heun")


@pytest.fixture(scope="module")
def guidable(shifted):
    conditions = Labels(2, key=KEY)
    object.__setattr__(conditions, "taught", jnp.asarray(True))
    return hf.Flow(PRIOR, Shift(shifted.network.means, conditions), steps=2, method="Heun")


HELD_OUT = {"validation": np.ones((4, 2)), "validation_condition": [0, 1, 2, 0]}


def data(size=240):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, size)
    means = np.asarray([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])
    points = means[labels] + 0.5 * rng.normal(size=(size, 2))
    return jnp.asarray(points, jnp.result_type(float)), labels


def fitted(network: Any = "mlp", **settings):
    points, labels = data()
    known = {"condition": labels, "steps": 3, "batch_size": 32, "progress": False} | settings
    return hf.fit(network, "optimal-transport", points, prior=PRIOR, key=KEY, **known)


def test_the_density_is_that_of_the_class(shifted):
    x, labels = jax.random.normal(KEY, (5, 2)), jnp.asarray([0, 1, 1, 0, 1])
    offset = x - shifted.network.means[labels]
    expected = -0.5 * jnp.sum(offset**2, axis=1) - jnp.log(2 * jnp.pi)
    np.testing.assert_allclose(shifted.log_prob(x, condition=labels), expected, atol=1e-5)
    np.testing.assert_allclose(shifted.log_prob(x[1], condition=1), expected[1], atol=1e-5)
    probed = shifted.log_prob(x, condition=labels, key=KEY, divergence="hutchinson")
    np.testing.assert_allclose(probed, expected, atol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_the_density_of_a_guided_flow_is_that_of_its_own_equation(guidable, weight):
    x = jax.random.normal(KEY, (4, 2))
    offset = x - weight * guidable.network.means[1]
    expected = -0.5 * jnp.sum(offset**2, axis=1) - jnp.log(2 * jnp.pi)
    found = guidable.guided(weight).log_prob(x, condition=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_methods_agree_under_conditions(shifted):
    labels = jnp.asarray([0, 1, 1])
    x, log_prob = shifted.sample_and_log_prob(KEY, 3, condition=labels)
    np.testing.assert_allclose(shifted.log_prob(x, condition=labels), log_prob, atol=1e-5)
    x0 = shifted.pull(x, condition=labels)
    np.testing.assert_allclose(shifted.push(x0, condition=labels), x, atol=1e-5)
    x0, x1 = jnp.moveaxis(shifted.trajectory(KEY, 3, [0.0, 1.0], condition=labels), 1, 0)
    np.testing.assert_allclose(x1, shifted.sample(KEY, 3, condition=labels), atol=1e-5)
    np.testing.assert_allclose(x1 - x0, shifted.velocity(0.5, x, condition=labels), atol=1e-5)


@pytest.fixture(scope="module")
def trained():
    points, labels = data()
    return fitted(
        {"name": "mlp", "width": 24, "depth": 2},
        steps=500,
        learning_rate=1e-2,
        ema=0.98,
        condition_dropout=0.4,
        coupling="minibatch-ot",
        validation=points[:8] + 1e-3,
        validation_condition=labels[:8],
    )


def test_every_class_is_learned_and_the_mixture_of_all(trained):
    points, labels = data()
    offset = (points - jnp.asarray([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])[labels]) / 0.5
    ideal = jnp.mean(-0.5 * jnp.sum(offset**2, axis=1)) - jnp.log(2 * jnp.pi * 0.25)
    assert abs(float(trained.log_prob(points, condition=labels).mean() - ideal)) < 0.15
    assert abs(float(trained.log_prob(points).mean() - ideal + jnp.log(3.0))) < 0.4
    scores = jnp.stack([trained.log_prob(points, condition=c) for c in range(3)], axis=1)
    assert float(jnp.mean(scores.argmax(axis=1) == labels)) > 0.97


def test_it_comes_back_from_its_file_guided_too(trained, tmp_path):
    points, labels = data(4)
    for flow in (trained, trained.guided(2.0)):
        flow.save(tmp_path / "a.hiflow")
        again = hf.load(tmp_path / "a.hiflow")
        kept = again.log_prob(points, condition=labels)
        np.testing.assert_array_equal(kept, flow.log_prob(points, condition=labels))


def test_the_density_is_differentiable_in_a_vector():
    points, _ = data()
    flow = fitted(condition=np.linspace(0, 1, len(points)))

    def score(c):
        return flow.log_prob(points[0], condition=c, rtol=1e-6, atol=1e-6)

    slope = (score(0.31) - score(0.29)) / 0.02
    np.testing.assert_allclose(jax.grad(score)(0.3), slope, rtol=0.1, atol=1e-4)


def test_the_units_of_a_vector_do_not_matter(tmp_path):
    points, _ = data()
    z = (points - points.mean(axis=0)) / points.std(axis=0)
    kelvin = 300 + 25 * z
    network = hf.networks.MLP(2, width=8, depth=1, condition_size=2, key=KEY)
    one, other = (fitted(network, condition=c, steps=30) for c in (z, kelvin))
    samples = one.sample(KEY, 5, condition=z[:5])
    np.testing.assert_allclose(other.sample(KEY, 5, condition=kelvin[:5]), samples, atol=1e-3)
    other.save(tmp_path / "flow.hiflow")
    again = hf.load(tmp_path / "flow.hiflow").sample(KEY, 5, condition=kelvin[:5])
    np.testing.assert_array_equal(again, other.sample(KEY, 5, condition=kelvin[:5]))
    # Training goes on in the same units.
    further = conditions_of(fitted(other.network, condition=z, steps=30).network)
    assert isinstance(further, Vector)
    np.testing.assert_allclose(further.shift, 300, rtol=1e-5)
    np.testing.assert_allclose(further.scale, 25, rtol=1e-4)


@pytest.mark.parametrize(("same", "scale"), [(0.0, 1.0), (1e-42, 1.0), (-300.0, 300.0)])
def test_a_condition_that_is_the_same_for_all_points_has_a_scale(same, scale):
    units = hf.networks.Vector(1, key=KEY).fitted(jnp.full((7, 1), same))
    np.testing.assert_allclose((units.shift, units.scale), [[same], [scale]], atol=1e-6)


@pytest.mark.parametrize("coupling", [MinibatchOT(), EquivariantOT(hf.groups.Trivial(), block=16)])
def test_within_kinds_every_kind_keeps_its_prior_samples(coupling):
    x0, (x1, kinds) = jax.random.normal(KEY, (40, 2)), data(40)
    paired, _ = coupling.within(x0, x1, KEY, jnp.asarray(kinds))
    for kind in range(3):
        mine = np.asarray(x0)[kinds == kind]
        got = np.asarray(paired)[kinds == kind]
        np.testing.assert_array_equal(np.sort(got, axis=0), np.sort(mine, axis=0))
    cost = jnp.sum((paired - x1) ** 2)
    assert cost < jnp.sum((x0 - x1) ** 2)


def test_prior_samples_under_a_condition_are_the_priors():
    points, labels = data()
    batches = Batches(
        points, PRIOR, MinibatchOT(), hf.time_samplers.Uniform(), None, KEY, size=120,
        conditions=jnp.asarray(labels), kinds=jnp.asarray(labels, jnp.int32),
    )  # fmt: skip
    draws = jax.jit(jax.vmap(batches.draw))(jnp.arange(20))
    for kind in range(3):
        x0 = draws.x0[draws.condition == kind]
        error = 4 / np.sqrt(len(x0))
        assert np.abs(x0.mean(axis=0)).max() < error
        assert np.abs(x0.std(axis=0) - 1).max() < error
    np.testing.assert_array_equal(draws.condition, labels[draws.index])


def test_couplings_that_exchange_nothing_need_no_kinds():
    assert not Independent.exchanges
    assert not SymmetryAligned.exchanges
    assert MinibatchOT.exchanges


@pytest.mark.parametrize(
    ("network", "settings", "words"),
    [
        ("mlp", {"condition": [0, 1]}, "one row for each of the 240 points"),
        ("mlp", {"condition": "labels"}, "must be labels"),
        ("mlp", {"condition": None, "condition_dropout": 0.1}, "nothing to drop"),
        ("mlp", {"condition": np.arange(240.0), "coupling": "minibatch-ot"}, "Use 'independent'"),
        ("mlp", {"coupling": "precomputed"}, "no longer be the prior"),
        ("mlp", {"validation": np.ones((4, 2))}, "`validation_condition` is missing"),
        ("mlp", HELD_OUT | {"finish": {"steps": 2}}, "`finish` doesn't take"),
        (hf.networks.MLP(2, key=KEY), {}, "takes no `condition`"),
        (hf.networks.MLP(2, classes=3, key=KEY), {"condition": None}, "`condition` is missing"),
        (hf.networks.MLP(2, classes=2, key=KEY), {}, "label from 0 to 1, got 2"),
    ],
)
def test_what_does_not_go_with_conditions_is_refused(network, settings, words):
    with pytest.raises(ValueError, match=words):
        fitted(network, **settings)


def test_classes_that_no_point_has_are_refused_unless_they_are_said():
    """Labels from 1 on: of class 0 the flow would have samples all the same."""
    with pytest.raises(ValueError, match="`condition` goes up to 3, and no point has 0"):
        fitted(condition=data()[1] + 1)
    said = fitted({"name": "mlp", "classes": 4, "width": 8, "depth": 1}, condition=data()[1] + 1)
    assert hf.networks.conditions_of(said.network).classes == 4  # pyright: ignore


def test_labels_of_any_whole_type_are_dropped_alike():
    """Of unsigned ones -1, that of no class, would be 255: a class if there are 256."""
    points, labels = data()
    more: Any = {"steps": 3, "condition_dropout": 0.5}
    expected, *others = (
        fitted(condition=labels.astype(kind), **more) for kind in ("int32", "uint8", "int8")
    )
    samples = hf.data.Samples(points, condition=labels.astype("uint8"))
    more |= {"prior": PRIOR, "key": KEY, "batch_size": 32, "progress": False}
    others.append(hf.fit("mlp", "optimal-transport", samples, **more))
    assert all(eqx.tree_equal(other, expected) for other in others)
    many = Labels(256, key=KEY)
    last = rows_of(many, np.full(1, 255, np.uint8), 1, "it")
    np.testing.assert_array_equal(many(last[0]), many.table[255])


def test_a_flow_says_what_it_lacks(shifted):
    with pytest.raises(ValueError, match="`finish` doesn't take"):
        hf.finish(shifted, jnp.ones((4, 2)), validation=jnp.ones((4, 2)), key=KEY)
    with pytest.raises(ValueError, match="`condition` is missing: pass a label from 0 to 1"):
        shifted.sample(KEY, 2)
    with pytest.raises(ValueError, match="`condition_dropout`"):
        shifted.guided(2.0)
    with pytest.raises(ValueError, match="takes no `condition`"):
        hf.Flow(PRIOR, hf.networks.MLP(2, key=KEY)).sample(KEY, 2, condition=1)


def test_numbers_of_classes_mean_the_same_in_data_and_validation(shifted):
    points, labels = data(12)
    train = hf.data.Samples(points, condition=labels, classes=("a", "b", "c"))
    other = hf.data.Samples(points, condition=2 - labels, classes=("c", "b", "a"))
    with pytest.raises(ValueError, match=r"`data` numbers its classes \('a'.*`validation` \('c'"):
        hf.fit("mlp", "optimal-transport", train, prior=PRIOR, key=KEY, validation=other)
    with pytest.raises(ValueError, match="labels that int32 holds, got 1099511627776"):
        shifted.sample(KEY, 2, condition=2**40)
    compiled = jax.jit(lambda x: shifted.log_prob(x, condition=1))(points[:2])
    np.testing.assert_allclose(compiled, shifted.log_prob(points[:2], condition=1), rtol=1e-5)


def test_a_distance_is_of_the_classes_of_all_points_in_whatever_order():
    """A file has its points by class: samples of the first half's class would be far away."""

    def start(key):
        return jax.random.normal(key, (2,))

    network = Shift(jnp.asarray([[20.0, 0.0], [-20.0, 0.0]]), Labels(2, key=KEY))
    flow = hf.Flow(hf.priors.FunctionPrior(start, (2,)), network, steps=1, method="Euler")
    labels = np.repeat([0, 1], 60)
    points = flow.sample(KEY, 120, condition=labels)
    found = hf.metrics.held_out_score(flow, points, condition=labels)
    assert isinstance(found, hf.metrics.SampleDistance)
    assert found.distance < 2 * found.distance_floor + 10


def test_samples_bring_their_conditions_and_chains(guidable):
    """A flow that has learned to go without a condition would tell another density without a sound."""
    points, labels = data(12)
    samples: Any = hf.data.Samples(points, chains=labels, condition=labels % 2)
    told = guidable.log_prob(points, condition=labels % 2)
    assert not np.allclose(told, guidable.log_prob(points))
    np.testing.assert_array_equal(guidable.log_prob(samples), told)
    moved = guidable.pull(points, condition=labels % 2)
    np.testing.assert_array_equal(guidable.pull(samples), moved)
    score = hf.metrics.negative_log_likelihood
    by_hand = score(guidable, points, chains=labels, condition=labels % 2)
    found = score(guidable, samples)
    assert (found.nll, found.nll_se) == (by_hand.nll, by_hand.nll_se)
    assert found.nll_se != score(guidable, points, condition=labels % 2).nll_se
    plain = hf.Flow(PRIOR, hf.networks.MLP(2, key=KEY))
    with pytest.raises(ValueError, match=r"pass `samples.untold\(\)`"):
        plain.log_prob(samples)
