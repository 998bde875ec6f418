"""Every printed number against its formula, written in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import hiflow as hf
from hiflow.metrics import (
    Weighted,
    importance_sample,
    negative_log_likelihood,
    pair_distances,
    standard_error,
)
from hiflow.solver import SolverStats

RANDOM = np.random.default_rng(0)


class Known:
    """A density with known values, and a solver that reports known figures."""

    def __init__(self, log_prob, nfe, variances):
        self.log_prob = jnp.asarray(log_prob)
        none = jnp.zeros(len(nfe), int)
        self.stats = SolverStats(jnp.asarray(nfe), none, none, jnp.asarray(variances))

    def log_prob_and_stats(self, x, **_):
        return self.log_prob, self.stats


def test_nll_is_a_mean_with_its_errors(x64):
    log_prob, nfe = RANDOM.normal(size=7), np.array([10, 20, 30, 40, 10, 20, 31])
    variances = RANDOM.uniform(0.1, 2, size=7)
    found = negative_log_likelihood(Known(log_prob, nfe, variances), jnp.zeros((7, 2)))
    deviations = log_prob - sum(log_prob) / 7
    np.testing.assert_allclose(found.nll, -sum(log_prob) / 7, rtol=1e-6)
    # Half of a 68.3 % confidence interval: Student's quantile at 84.1 % with 6 degrees of freedom.
    student = stats.t.ppf(0.5 + 0.6826894921370859 / 2, 6)
    error = student * np.sqrt(sum(deviations**2) / 6 / 7)
    np.testing.assert_allclose(found.nll_se, error, rtol=1e-6)
    np.testing.assert_allclose(found.nfe, sum(nfe) / 7, rtol=1e-6)
    assert found.nfe_max == 40
    # A mean of 7 independent errors: the square root of the summed variances, over 7.
    np.testing.assert_allclose(found.probe_se, np.sqrt(sum(variances)) / 7, rtol=1e-6)
    np.testing.assert_allclose(found.log_prob, log_prob)


@pytest.mark.parametrize("n", [2, 3, 50])
def test_the_standard_error_is_that_of_a_mean(n):
    values = RANDOM.normal(size=n)
    expected = np.sqrt(np.sum((values - values.mean()) ** 2) / (n - 1) / n)
    np.testing.assert_allclose(standard_error(values), expected, rtol=1e-9)


ENERGIES, LOG_PROB = RANDOM.normal(size=9) + 40, RANDOM.normal(size=9) - 3
W = np.exp(-ENERGIES - LOG_PROB)


def test_errors_over_chains_are_those_of_the_chains_means(x64):
    chains, values = np.repeat(np.arange(4), 5), RANDOM.normal(size=20)
    means = values.reshape(4, 5).mean(1)
    expected = np.sqrt(np.sum((means - means.mean()) ** 2) / 3 / 4)
    np.testing.assert_allclose(standard_error(values, chains), expected, rtol=1e-9)
    known = Known(values, np.full(20, 7), np.zeros(20))
    found = negative_log_likelihood(known, jnp.zeros((20, 2)), chains=chains)
    np.testing.assert_allclose(found.nll_se, expected, rtol=0.25)  # with its uncertainty or without
    assert standard_error(values, np.zeros(20)) == np.inf
    np.testing.assert_allclose(standard_error(values, np.arange(20)), standard_error(values))


def test_weighted_errors_over_chains_add_each_chains_deviations(x64):
    chains = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    weighted = Weighted(jnp.asarray(RANDOM.normal(size=(9, 2))), ENERGIES, LOG_PROB, chains)
    w, values = W / W.sum(), RANDOM.normal(size=9)

    def error(each, share):
        # Student's, with Kish's number of chains; a chain pulls the mean along by its share.
        variance = np.sum(np.square(each) / (1 - share))
        degrees = max(1 / np.sum(share**2) - 1, 1)
        return np.sqrt(variance) * stats.t.ppf(0.5 + 0.6826894921370859 / 2, degrees)

    each = np.array([np.sum((w * (values - w @ values))[chains == c]) for c in range(3)])
    share = np.array([w[chains == c].sum() for c in range(3)])
    np.testing.assert_allclose(weighted.mean(values)[1], error(each, share))
    each = np.array([np.sum((w - 1 / 9)[chains == c]) for c in range(3)])
    share = np.array([3, 2, 4]) / 9
    np.testing.assert_allclose(weighted.free_energy[1], error(each, share))
    alone = Weighted(weighted.x, ENERGIES, LOG_PROB, np.arange(9))
    near = _weighted().free_energy[1] * np.sqrt(9 / 8) * stats.t.ppf(0.8413447460685429, 8)
    np.testing.assert_allclose(alone.free_energy[1], near, rtol=1e-6)
    together = Weighted(weighted.x, ENERGIES, LOG_PROB, np.zeros(9))
    assert together.mean(values)[1] == np.inf


def test_errors_of_samples_drawn_anew_count_draws_without_descendants(x64):
    ancestors = np.array([0, 0, 0, 4, 4, 7, 7, 7, 7])
    x = jnp.asarray(RANDOM.normal(size=(9, 2)))
    weighted = Weighted(x, ENERGIES, LOG_PROB, ancestors, drawn_anew=True)
    share = np.array([W[ancestors == i].sum() / W.sum() for i in range(9)])
    # Each of the nine draws has an even share but for chance, the six without descendants too.
    variance = np.sum((share - 1 / 9) ** 2 / (1 - share))
    quantile = stats.t.ppf(0.8413447460685429, 1 / np.sum(share**2) - 1)
    np.testing.assert_allclose(weighted.free_energy[1], np.sqrt(variance) * quantile)


def _weighted():
    return Weighted(jnp.asarray(RANDOM.normal(size=(9, 2))), ENERGIES, LOG_PROB)


def test_weights_and_their_effective_sample_size():
    np.testing.assert_allclose(_weighted().log_weights, np.log(W), rtol=1e-9)
    np.testing.assert_allclose(_weighted().weights, W / W.sum(), rtol=1e-9)
    np.testing.assert_allclose(_weighted().ess, W.sum() ** 2 / (9 * (W**2).sum()), rtol=1e-9)


def test_the_free_energy_is_that_of_the_mean_weight():
    value, error = _weighted().free_energy
    np.testing.assert_allclose(value, -np.log(W.mean()), rtol=1e-9)
    # The delta method: the spread of the weights (of all 9) over their mean, over √9.
    np.testing.assert_allclose(error, W.std() / W.mean() / 3, rtol=1e-9)


def test_a_reweighted_mean_is_the_ratio_of_sums():
    values = RANDOM.normal(size=9)
    mean, error = _weighted().mean(values)
    expected = (W * values).sum() / W.sum()
    np.testing.assert_allclose(mean, expected, rtol=1e-9)
    spread = np.sqrt(((W * (values - expected)) ** 2).sum()) / W.sum()
    np.testing.assert_allclose(error, spread, rtol=1e-9)


def test_a_difference_of_free_energies_is_zwanzigs(x64):
    samples = _weighted()
    other = hf.energies.Gaussian(np.array([1.0, 0.0]), 30.0)
    values = np.array([15 * np.sum((np.asarray(x) - [1, 0]) ** 2) for x in samples.x])
    ratio = (W * np.exp(ENERGIES - values)).sum() / W.sum()
    found, error = samples.free_energy_difference(other)
    np.testing.assert_allclose(found, -np.log(ratio), rtol=1e-6)
    spread = np.sqrt(((W * (np.exp(ENERGIES - values) - ratio)) ** 2).sum()) / W.sum()
    np.testing.assert_allclose(error, spread / ratio, rtol=1e-6)


def test_importance_sampling_takes_the_flows_own_density(x64):
    points, log_q = RANDOM.normal(size=(5, 2)), RANDOM.normal(size=5)

    class Sampled:
        prior = hf.priors.Normal(2)

        def sample_and_log_prob(self, key, n, **_):
            return jnp.asarray(points), jnp.asarray(log_q)

    energy = hf.energies.Gaussian(np.zeros(2), np.array([1.0, 3.0]))
    found = importance_sample(Sampled(), energy, key=jax.random.key(0), size=5)
    expected = -(points[:, 0] ** 2 + 3 * points[:, 1] ** 2) / 2 - log_q
    np.testing.assert_allclose(found.log_weights, expected, rtol=1e-6)


def test_distances_are_of_every_pair_once(x64):
    x = RANDOM.normal(size=(4, 3))
    expected = [np.sqrt(np.sum((x[i] - x[j]) ** 2)) for i in range(4) for j in range(i)]
    np.testing.assert_allclose(np.sort(pair_distances(jnp.asarray(x))), np.sort(expected))
