"""Wasserstein distances, against closed forms and other algorithms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hiflow.metrics import energy_wasserstein, torus_wasserstein, wasserstein

RANDOM = np.random.default_rng(0)
KEY = jax.random.key(0)


def test_a_shift_is_its_own_distance():
    x, shift = jnp.asarray(RANDOM.normal(size=(60, 3))), jnp.array([3.0, 4.0, 0.0])
    found = wasserstein(x + shift, x, key=KEY)
    np.testing.assert_allclose(found.value, 5, rtol=1e-5)
    assert found.size == 60
    assert np.isnan(found.floor)


@given(seed=st.integers(0, 30))
def test_in_one_dimension_the_best_assignment_is_the_sorted_one(seed):
    x, y = np.random.default_rng(seed).normal(size=(2, 30))
    expected = np.sqrt(np.mean((np.sort(x) - np.sort(y)) ** 2))
    found = wasserstein(jnp.asarray(x[:, None]), jnp.asarray(y[:, None]), key=KEY).value
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(energy_wasserstein(x, y), expected, rtol=1e-9)


@given(seed=st.integers(0, 30))
def test_weights_that_are_whole_numbers_are_repetitions(seed):
    rng = np.random.default_rng(seed)
    x, y, times = (
        rng.normal(size=7),
        rng.normal(size=5),
        rng.integers(0, 4, 7) + (np.arange(7) == 0),
    )
    repeated = np.repeat(x, times)
    both = np.repeat(repeated, 5), np.repeat(y, len(repeated))
    expected = np.sqrt(np.mean((np.sort(both[0]) - np.sort(both[1])) ** 2))
    np.testing.assert_allclose(energy_wasserstein(x, y, weights=times), expected, atol=1e-9)


def test_of_normals_it_is_the_closed_form():
    x, y = RANDOM.normal(size=(2, 100_000)) * [[1.0], [2.0]] + [[0.0], [1.0]]
    np.testing.assert_allclose(energy_wasserstein(x, y), np.sqrt(2), rtol=0.02)
    # The same x weighted to N(1, 2²)'s half-way house N(0.5, 1.2²).
    w = stats.norm.pdf(x, 0.5, 1.2) / stats.norm.pdf(x)
    expected = np.hypot(0.5, 0.8)
    np.testing.assert_allclose(energy_wasserstein(x, y, weights=w), expected, rtol=0.05)


def test_an_infinite_energy_counts_where_it_has_weight():
    x = np.array([0.0, 1.0, np.inf])
    assert energy_wasserstein(x, np.zeros(3)) == np.inf
    assert energy_wasserstein(x, np.zeros(3), weights=np.array([1, 1, 0])) == pytest.approx(
        np.sqrt(0.5)
    )


def test_on_a_torus_the_way_around_is_taken():
    angles = jnp.asarray([[3.1, 0.0], [-3.0, 1.0]])
    turned = jnp.asarray([[-3.1, 0.0], [-2.9, 1.0]])
    found = torus_wasserstein(angles, turned, key=KEY).value
    np.testing.assert_allclose(found, np.sqrt(((2 * np.pi - 6.2) ** 2 + 0.01) / 2), rtol=1e-4)
    whole = torus_wasserstein(angles + 2 * jnp.pi, angles, key=KEY).value
    np.testing.assert_allclose(whole, 0, atol=1e-5)


def test_samples_of_one_law_are_as_far_as_the_floor():
    x, y, far = (jnp.asarray(RANDOM.normal(size=(n, 2))) for n in (1_000, 1_000, 1_000))
    found = wasserstein(x, y, key=KEY, size=300)
    assert found.size == 300
    np.testing.assert_allclose(found.value, found.floor, rtol=0.3)
    assert wasserstein(far + 1, y, key=KEY, size=300).value > 2 * found.floor


def test_weights_bring_samples_to_the_reference():
    x, y = RANDOM.normal(size=(2, 4_000, 2)) * np.array([1.5, 1.0])[:, None, None]
    w = np.prod(stats.norm.pdf(x) / stats.norm.pdf(x, scale=1.5), axis=1)
    plain, weighted = (
        wasserstein(jnp.asarray(x), jnp.asarray(y), key=KEY, size=500, weights=each)
        for each in (None, w / w.sum())
    )
    assert weighted.value < 0.6 * plain.value


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="give both the same coordinates"):
        wasserstein(jnp.zeros((3, 2)), jnp.zeros((3, 1)), key=KEY)
    with pytest.raises(ValueError, match="`size` must be a whole number, at least 1"):
        wasserstein(jnp.zeros((3, 2)), jnp.zeros((3, 2)), key=KEY, size=0)


@pytest.mark.parametrize("weights", [[1.0], [1.0, np.nan, 1.0], [2.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
def test_what_is_no_weight_of_each_sample_is_refused(weights):
    x, w = jnp.arange(3.0)[:, None], np.array(weights)
    with pytest.raises(ValueError, match="`weights` must be "):
        wasserstein(x, x, key=jax.random.key(0), weights=w)
    with pytest.raises(ValueError, match="`weights` must be "):
        energy_wasserstein(np.arange(3.0), np.arange(3.0), weights=w)
