"""Numbers that are printed: means with the errors of means, and samples made a target's by weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import hiflow as hf
from hiflow._statistics import check_labels
from hiflow.metrics import (
    Floor,
    Weighted,
    importance_sample,
    negative_log_likelihood,
    pair_distances,
    standard_error,
)


def test_standard_error_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=(2_000, 50))
    errors = np.array([standard_error(jnp.asarray(row)) for row in values[:200]])
    np.testing.assert_allclose(errors.mean(), values.mean(1).std(), rtol=0.05)
    assert standard_error(jnp.ones(1)) == float("inf")


def test_a_floor_is_one_number_where_its_bounds_agree():
    assert str(Floor(1.4242, 1.4243)) == "1.424"
    assert str(Floor(16.94, 17.02)) == "16.9 to 17.0"
    floor = Floor.of(hf.energies.Ring())
    assert floor is not None
    assert floor.exact
    energy = hf.energies.FunctionEnergy(lambda x: (x**2).sum(), shape=2)
    assert Floor.of(energy) is None
    assert Floor.of(None) is None


def test_nll_of_the_untrained_flow_is_the_priors():
    prior = hf.priors.Normal(2)
    flow = hf.Flow(prior, hf.networks.MLP(2, 4, 1, key=jax.random.key(0)))
    points = jax.vmap(prior.sample)(jax.random.split(jax.random.key(1), 64))
    found = negative_log_likelihood(flow, points)
    log_p = flow.log_prob(points)
    np.testing.assert_allclose(found.nll, -log_p.mean(), rtol=1e-6)
    student = stats.t.ppf(0.5 + 0.6826894921 / 2, 63)
    np.testing.assert_allclose(found.nll_se, student * log_p.std(ddof=1) / 8, rtol=1e-5)
    np.testing.assert_allclose(found.log_prob, log_p, rtol=1e-6)
    assert found.nfe_max >= found.nfe > 0


class Wide:
    """A normal density of any width, with the methods of a flow that reweighting needs."""

    def __init__(self, scale, dim=2):
        self.prior = hf.priors.Normal(dim, scale=scale)

    def sample_and_log_prob(self, key, n, **_):
        x = jax.vmap(self.prior.sample)(jax.random.split(key, n))
        return x, jax.vmap(self.prior.log_prob)(x)


STANDARD = hf.energies.Gaussian(jnp.zeros(2), jnp.ones(2))


def weighted(scale=1.3, n=20_000, key=0, energy=STANDARD):
    return importance_sample(Wide(scale), energy, key=jax.random.key(key), size=n)


@pytest.mark.parametrize("scale", [0.9, 1.0, 1.3, 2.0])
def test_ess_is_the_closed_form_of_normals(scale):
    # E_q[w]² / E_q[w²] = (2 s² - 1) / s⁴ for N(0, I) from N(0, s² I) in two dimensions.
    np.testing.assert_allclose(weighted(scale).ess, (2 * scale**2 - 1) / scale**4, rtol=0.06)


def test_free_energy_and_means_are_the_targets_within_their_errors():
    def normalised(samples):
        free, error = samples.free_energy
        spread, spread_error = samples.mean(lambda x: jnp.sum(x**2))
        return (free + np.log(2 * np.pi)) / error, (spread - 2) / spread_error

    z = np.array([normalised(weighted(key=k, n=2_000)) for k in range(60)])
    assert np.abs(z.mean(0)).max() < 0.5
    np.testing.assert_allclose(z.std(0), 1, atol=0.35)


def test_free_energy_difference_of_two_normals():
    stiffer = hf.energies.Gaussian(jnp.zeros(2), jnp.full(2, 2.0))
    found, error = weighted().free_energy_difference(stiffer)
    assert abs(found - np.log(2.0)) < 4 * error < 0.1
    same, _ = weighted().free_energy_difference(STANDARD)
    np.testing.assert_allclose(same, 0, atol=1e-12)


@given(shift=st.floats(-1e3, 1e3), seed=st.integers(0, 99))
def test_weights_dont_depend_on_the_energys_zero(shift, seed):
    rng = np.random.default_rng(seed)
    values, log_prob = rng.normal(size=(2, 20))
    here = Weighted(jnp.zeros((20, 1)), values, log_prob)
    there = Weighted(jnp.zeros((20, 1)), values + shift, log_prob)
    np.testing.assert_allclose(there.weights, here.weights, rtol=1e-6)
    np.testing.assert_allclose(there.free_energy[0], here.free_energy[0] + shift, atol=1e-8)
    assert 1 / 20 <= here.ess <= 1 + 1e-12


def test_an_infinite_energy_has_no_weight():
    samples = Weighted(jnp.zeros((3, 1)), np.array([0.0, np.inf, 0.0]), np.zeros(3))
    np.testing.assert_allclose(samples.weights, [0.5, 0, 0.5])
    np.testing.assert_allclose(samples.ess, 2 / 3)
    # Nor has what the observable is there.
    assert samples.mean(np.array([1.0, np.inf, 3.0]))[0] == pytest.approx(2)
    assert samples.mean(samples.energies)[0] == pytest.approx(0)
    other = hf.energies.FunctionEnergy(lambda x: 1 + 0 * x[0], shape=1)
    assert samples.free_energy_difference(other).value == pytest.approx(1)


def test_a_reweighted_histogram_is_that_of_the_target():
    bins = np.linspace(-4, 4, 17)
    plain, weighed = weighted().histogram(lambda x: x[0], bins)
    middle = (bins[1:] + bins[:-1]) / 2
    target = np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi)
    assert np.abs(weighed - target).max() < 0.03 < np.abs(plain - target).max()
    # Several values per sample, as distances of pairs.
    twice, _ = weighted().histogram(lambda x: jnp.array([x[0], x[0]]), bins)
    np.testing.assert_allclose(twice, plain)


def test_what_doesnt_fit_is_refused():
    with pytest.raises(ValueError, match=r"events of shape \(2,\) and `energy` \(Ring\)|\(3,\)"):
        importance_sample(Wide(1.0, dim=3), hf.energies.Ring(), key=jax.random.key(0), size=4)
    with pytest.raises(ValueError, match="a value for each of the 10 samples"):
        weighted(n=10).mean(np.zeros(9))


def test_distances_of_pairs():
    x = jnp.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    np.testing.assert_allclose(np.sort(pair_distances(x)), [1, np.sqrt(18), 5], rtol=1e-6)


def test_points_and_chains_that_do_not_go_together_are_refused():
    flow = hf.Flow(hf.priors.Normal(2), hf.networks.MLP(2, key=jax.random.key(0)))
    with pytest.raises(ValueError, match=r"`points` must have shape \(n, \*\(2,\)\), got \(2,\)"):
        negative_log_likelihood(flow, jnp.ones(2))
    for chains in ([0, 1], np.ones((4, 1)), "a"):
        with pytest.raises(ValueError, match=r"must hold one label for each of 4 values, of shape"):
            check_labels(chains, 4, "it")
    check_labels([0, 0, 1, 1], 4, "it")
