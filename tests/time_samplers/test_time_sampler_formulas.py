"""The time samplers' densities and weights against their formulas, written in NumPy."""

import jax
import jax.numpy as jnp
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


# Name: the sampler, F and q as above, and the objective ω.
OBJECTIVES = {
    "late": (
        lambda: time_samplers.LateTimes(share=0.4, cutoff=0.01),
        lambda t: 0.6 * t + 0.4 * -np.log(np.maximum(1 - t, 0.01)) / np.log(100),
        lambda t: 0.6 + 0.4 * (t <= 0.99) / ((1 - t) * np.log(100)),
        lambda t: 0.6 + 0.4 * (t <= 0.99) / ((1 - t) * np.log(100)),
    ),
    "likelihood": (
        lambda: time_samplers.LikelihoodTimes(cutoff=0.01),
        lambda t: -np.log(1 - t) / np.log(100),
        lambda t: 1 / ((1 - t) * np.log(100)),
        lambda t: t / (1 - t) / (np.log(100) - 0.99),
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_weights_are_the_objective_over_the_density(name, x64):
    make, distribution, density, objective = OBJECTIVES[name]
    t, weights = map(np.asarray, make()(jax.random.key(0), 1000))
    np.testing.assert_allclose(weights, objective(t) / density(t), rtol=1e-6)
    np.testing.assert_allclose(make().objective(jnp.asarray(t)), objective(t), rtol=1e-6)
    every = (np.arange(1000) + 0.5) / 1000
    assert np.abs(np.sort(distribution(t)) - every).max() < 2e-3


def test_all_late_times_lie_above_the_cutoff():
    t, _ = time_samplers.LateTimes(share=1.0, cutoff=0.1)(jax.random.key(2), 500)
    assert np.asarray(t).max() <= 0.9


@pytest.mark.parametrize("make", [time_samplers.LateTimes, time_samplers.LikelihoodTimes])
def test_no_time_is_rounded_to_the_end(make):
    """Where rates below one have no velocity, and a likelihood's weight is infinite."""
    times, weights = make(cutoff=1e-12)(jax.random.key(0), 1_000)
    assert times.min() >= 0
    assert times.max() < 1
    assert jnp.isfinite(weights).all()


def test_a_report_says_which_loss_it_is():
    assert time_samplers.loss_of(time_samplers.Importance()) == "∫ E‖v − u‖² dt"
    assert "0.5 + 0.5 / ((1 − t)" in time_samplers.loss_of(time_samplers.LateTimes())
    assert "t/(1 − t)" in time_samplers.loss_of(time_samplers.LikelihoodTimes())


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: time_samplers.LateTimes(share=0.0), "share"),
        (lambda: time_samplers.LateTimes(share=1.5), "share"),
        (lambda: time_samplers.LateTimes(cutoff=1.0), "cutoff"),
        (lambda: time_samplers.LikelihoodTimes(cutoff=0.0), "cutoff"),
    ],
)
def test_shares_and_cutoffs_out_of_range_are_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()


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
