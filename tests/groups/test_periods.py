"""Coordinates with a period: nothing that is said of points depends on the turn that they are in."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.training._moved import _memory

KAPPA, PERIOD = (1.0, 3.0), 3.0


class Turns(hf.groups.AbstractDiscreteGroup):
    """Whole turns of the first two of three coordinates."""

    def sample(self, key, event_shape):
        return jax.random.randint(key, event_shape, -2, 3) * jnp.array([1, 1, 0])

    def act(self, g, x):
        return x + PERIOD * g

    def inverse(self, g):
        return -g

    def compose(self, g, h):
        return g + h

    def align(self, x, y):
        return jnp.round((y - x) / PERIOD).astype(int) * jnp.array([1, 1, 0])

    def periods(self, event_shape):
        return jnp.array([PERIOD, PERIOD, jnp.inf])


class VonMises(hf.energies.AbstractEnergy):
    """Two angles, in units of a period of 3 and about 0.5, and a normal coordinate."""

    event_shape = (3,)
    group = Turns()

    def __call__(self, x):
        return (
            -jnp.sum(jnp.array(KAPPA) * jnp.cos(2 * jnp.pi / PERIOD * (x[:2] - 0.5)))
            + 2 * x[2] ** 2
        )


class Exact(VonMises):
    """With samples, by rejection of a wrapped uniform one."""

    def sample(self, key):
        k_turn, k_accept, k_normal = jax.random.split(key, 3)
        angles = jax.random.uniform(k_turn, (400, 2), minval=-PERIOD / 2, maxval=PERIOD / 2)
        odds = jnp.exp(jnp.array(KAPPA) * (jnp.cos(2 * jnp.pi / PERIOD * (angles - 0.5)) - 1))
        good = jax.random.uniform(k_accept, (400, 2)) < odds
        first = angles[jnp.argmax(good, axis=0), jnp.arange(2)]
        return jnp.append(first, jax.random.normal(k_normal) / 2)


def points(n=4_000):
    return jax.vmap(Exact().sample)(jax.random.split(jax.random.key(0), n))


def test_the_virial_of_angles_is_their_number_whatever_the_turn():
    x = points()
    found = hf.data.check_virial(VonMises(), x)
    assert found.expected == 3
    assert found.z < 4
    assert found.standard_error < 0.05
    group = Turns()
    keys = jax.random.split(jax.random.key(1), len(x))
    turned = jax.vmap(lambda k, x: group.act(group.sample(k, (3,)), x))(keys, x)
    np.testing.assert_allclose(hf.data.check_virial(VonMises(), turned).mean, found.mean, rtol=1e-4)
    # What is wrong is told still: of the angles themselves E[x·∇V] would be below 3 for the seam alone.
    wrong = hf.energies.FunctionEnergy(lambda x: 2 * VonMises()(x), (3,), group=Turns())
    assert hf.data.check_virial(wrong, x).z > 10


def test_a_virial_of_angles_is_its_formula(x64):
    x = np.asarray(points(50), float)
    w = 2 * np.pi / PERIOD
    gradient = np.asarray(jax.vmap(jax.grad(VonMises()))(jnp.asarray(x)))
    middle = np.arctan2(np.sin(w * x).mean(0), np.cos(w * x).mean(0)) / w
    y = w * (x - middle)[:, :2]
    values = np.sum(np.sin(y) / w * gradient[:, :2] + 1 - np.cos(y), axis=1)
    values = values + x[:, 2] * gradient[:, 2]
    found = hf.data.check_virial(VonMises(), jnp.asarray(x))
    np.testing.assert_allclose(found.mean, values.mean(), rtol=1e-8)


def test_chains_are_brought_back_into_one_period():
    found = hf.data.sample(
        VonMises(), key=jax.random.key(0), size=300, chains=100, cache=False, progress=False
    )
    x = np.asarray(found.points)
    assert np.abs(x[:, :2]).max() <= PERIOD / 2
    assert np.abs(x[:, 2]).max() > 1
    assert found.report is not None
    assert found.report.virial.standard_error < 0.3


def test_an_energy_of_angles_with_samples_of_its_own_obeys_the_laws():
    assert {law.name for law in hf.testing.check_energy(Exact()).laws} >= {"samples", "invariance"}


def test_whole_turns_are_no_way_from_where_points_were_moved():
    x = points(20)
    y = x + jax.random.normal(jax.random.key(1), (3, *x.shape)) / 5
    turns = PERIOD * jax.random.randint(jax.random.key(2), y.shape, -9, 9) * jnp.array([1, 1, 0])
    found, _ = _memory(VonMises(), x, y + turns)
    np.testing.assert_allclose(found, _memory(VonMises(), x, y)[0], rtol=1e-3)


def box(key):
    return jax.random.uniform(key, (3,), minval=-PERIOD / 2, maxval=PERIOD / 2)


@pytest.mark.parametrize(
    "prior",
    [lambda: hf.priors.EmpiricalPrior(points(50), group=Turns()),
     lambda: hf.priors.FunctionPrior(box, (3,))],
    ids=["points", "function"],
)  # fmt: skip
def test_draws_on_a_circle_are_the_same_whatever_their_turn(prior):
    """So that a prior without a density can begin a flow there; a force is no control for it."""
    made = prior()
    assert hf.testing.check_prior(made)
    few = {"prior": made, "energy": VonMises(), "steps": 1, "key": jax.random.key(0)}
    flow = hf.fit("mlp", "optimal-transport", points(50), **few, progress=False)
    assert flow.sample(jax.random.key(1), 3).shape == (3, 3)
    with pytest.raises(ValueError, match="coordinates with a period"):
        hf.fit("mlp", "bridge", points(50), **few, target="force", progress=False)


MIRROR = hf.groups.LinearRepresentation(np.diag([-1.0, -1.0, 1.0]))


class Ring(hf.networks.AbstractVelocityField):
    """A field of sines, the same after whole periods."""

    weight: jax.Array
    event_shape = (3,)
    group = Turns()

    def __call__(self, t, x):
        angle = 2 * jnp.pi / PERIOD * x[:2]
        return self.weight @ jnp.concatenate([jnp.sin(angle), jnp.cos(angle), x[2:], t[None]])


class Even(hf.priors.AbstractPrior):
    """Uniform on both circles, normal on the line."""

    event_shape = (3,)
    group: hf.groups.AbstractGroup = Turns()

    def sample(self, key):
        return box(key).at[2].set(jax.random.normal(key))

    def log_prob(self, x):
        return jax.scipy.stats.norm.logpdf(x[2]) - 2 * jnp.log(PERIOD)


RING = Ring(jax.random.normal(jax.random.key(3), (3, 6)) / 10)


def test_whole_periods_and_a_mirror_are_a_semidirect_product():
    both = hf.groups.Product((Turns(), MIRROR))
    assert hf.testing.check_group(both, event_shape=(3,))
    swapped = hf.groups.LinearRepresentation(np.eye(3)[[1, 0, 2]])
    assert hf.testing.check_group(hf.groups.Product((swapped, Turns())), event_shape=(3,))
    # (m, t) takes x to mx + Lt, and so (m, t)(m, t) is no mirror image and no shift.
    g = (jnp.asarray(1), jnp.array([2, -1, 0]))
    np.testing.assert_allclose(both.act(g, jnp.array([0.5, 1.0, 2.0])), [5.5, -4.0, 2.0])
    assert (both.compose(g, g)[1] == 0).all()
    assert "one period" in hf.groups.reference_measure(both, (3,))
    particles = hf.groups.Product(("permutation", "translation"))
    assert "one period" not in hf.groups.reference_measure(particles, (3, 1))
    with pytest.raises(ValueError, match="one factor may shift"):
        hf.groups.Product((Turns(), "translation"))


def test_a_product_s_alignment_goes_round_the_circle():
    both = hf.groups.Product((Turns(), MIRROR))
    x, y = jnp.array([1.4, 0.3, 0.0]), jnp.array([1.5 - PERIOD - 3.0, 0.4, 0.0])
    moved = both.act(both.align(x, y), x)
    np.testing.assert_allclose(moved, [1.4 - 2 * PERIOD, 0.3, 0.0], atol=1e-5)


def test_what_is_said_of_a_period_holds_in_a_product():
    class Symmetric(VonMises):
        group = hf.groups.Product((Turns(), MIRROR))

        def __call__(self, x):
            return VonMises()(x.at[:2].add(0.5))

    x = points() - jnp.array([0.5, 0.5, 0.0])
    assert hf.testing.check_energy(Symmetric())
    alone, product = (hf.data.check_virial(each, x) for each in (VonMises(), Symmetric()))
    shifted = hf.data.check_virial(VonMises(), x + jnp.array([0.5, 0.5, 0.0]))
    assert alone.z > 4  # which is of the other data
    np.testing.assert_allclose(product.mean, shifted.mean, rtol=1e-4)
    with pytest.raises(ValueError, match="coordinates with a period"):
        hf.Standardised.of(x, group=Symmetric.group)


def few(network, prior, path: Any = "optimal-transport", **settings):
    return hf.fit(
        network, path, points(50), prior=prior, steps=1, key=jax.random.key(0), progress=False,
        **settings,
    )  # fmt: skip


def test_a_density_over_a_period_needs_a_periodic_network_and_energy():
    prior = Even()
    with pytest.raises(ValueError, match=r"`network` \(MLP\) isn't periodic where `prior`"):
        few("mlp", prior)
    flow = few(RING, prior)
    x = points(4)
    np.testing.assert_allclose(
        flow.log_prob(x), flow.log_prob(x + PERIOD * jnp.array([3, -1, 0])), atol=1e-3
    )
    for periods in (hf.groups.Trivial(), hf.groups.Product((MIRROR,))):
        untold = hf.energies.FunctionEnergy(VonMises(), (3,), group=periods)
        with pytest.raises(ValueError, match=r"group=prior.group"):
            few(RING, prior, energy=untold)
    fitted = hf.energies.FittedGaussian.fit(x, rank=1)
    with pytest.raises(ValueError, match=r"hiflow.energies.Wrapped.fit\(points"):
        few(RING, prior, hf.paths.Langevin(fitted, noise="own"), energy=VonMises())
    wrapped = hf.energies.Wrapped.fit(x, family="fitted-gaussian", group=Turns(), rank=1)
    few(RING, prior, hf.paths.Langevin(wrapped, noise="own", hessian="low-rank"))


def test_samples_in_another_turn_are_no_further():
    """Nor are test points across the seam; the coordinate without a period counts as ever."""
    prior = hf.priors.EmpiricalPrior(points(50), group=Turns())
    flow = few("mlp", prior)
    x = np.asarray(points(60), float)
    scores: Any = [
        hf.metrics.held_out_score(flow, jnp.asarray(y))
        for y in (x, x + PERIOD * np.array([2, -1, 0]), x + np.array([0, 0, PERIOD]))
    ]
    np.testing.assert_allclose(scores[0].distance, scores[1].distance, rtol=1e-4)
    assert scores[2].distance > scores[0].distance + 1


def test_a_group_of_no_period_has_none():
    """As that of an arm whose joints all have limits."""

    class Limited(hf.groups.Trivial):
        def periods(self, event_shape):
            return np.full(event_shape, np.inf)

    group = Limited()
    assert "one period" not in hf.groups.reference_measure(group, (3,))
    assert hf.Standardised.of(points(20), group=group).scale.shape == (3,)
    prior = hf.priors.FunctionPrior(box, (3,), group=group)
    few("mlp", prior, energy=hf.energies.FunctionEnergy(VonMises(), (3,)))


def test_a_coordinate_without_a_period_is_watched_beside_those_with_one():
    from hiflow.data._mixing import mixing

    x = points(800).reshape(40, 20, 3)
    stuck = x.at[:, :, 2].add(5.0 * jnp.arange(20))
    assert mixing(VonMises(), x, 10.0).r_hat < 1.1
    found = mixing(hf.energies.FunctionEnergy(lambda x: 0 * x[0], (3,), group=Turns()), stuck, 10.0)
    assert found.r_hat > 2
    assert found.feature == "angle's sine or cosine 4"
