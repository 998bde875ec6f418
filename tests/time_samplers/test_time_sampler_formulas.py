"""The time samplers' densities and weights against their formulas, written in NumPy."""

import jax
import numpy as np
import pytest

from hiflow import time_samplers

# Name: the sampler, the distribution function F and the density q = F′; whether it is stratified.
SAMPLERS = {
    "uniform": (lambda: time_samplers.Uniform(), lambda t: t, lambda t: 1 + 0 * t, False),
    "stratified": (lambda: time_samplers.Stratified(), lambda t: t, lambda t: 1 + 0 * t, True),
    "importance": (
        lambda: time_samplers.Importance(),
        lambda t: 1 - np.sqrt(1 - t),
        lambda t: 0.5 / np.sqrt(1 - t),
        True,
    ),
    "importance, p = 0.8": (
        lambda: time_samplers.Importance(power=0.8),
        lambda t: 1 - (1 - t) ** 0.8,
        lambda t: 0.8 * (1 - t) ** -0.2,
        True,
    ),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_weights_are_one_over_the_density(name, x64):
    make, _, density, _ = SAMPLERS[name]
    t, weights = map(np.asarray, make()(jax.random.key(0), 100))
    np.testing.assert_allclose(weights, 1 / density(t), rtol=1e-6)


@pytest.mark.parametrize("name", SAMPLERS)
def test_times_follow_the_distribution(name, x64):
    make, distribution, _, stratified = SAMPLERS[name]
    t, _ = map(np.asarray, make()(jax.random.key(1), 1000))
    quantiles = np.sort(distribution(t))
    if stratified:
        # One in each of the thousand parts that are equally probable.
        np.testing.assert_array_equal(np.floor(quantiles * 1000 + 1e-9), np.arange(1000))
    middles = (np.arange(1000) + 0.5) / 1000
    assert np.abs(quantiles - middles).max() < (1e-3 if stratified else 0.05)
