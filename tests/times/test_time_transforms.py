"""What each time transform promises beyond the laws of the family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiflow import times

pytestmark = pytest.mark.usefixtures("x64")
inside = st.floats(0.0, 0.99)


def number(value):
    return jnp.asarray(value, jnp.result_type(float))


@given(inside, st.floats(0.3, 30.0))
def test_log_time_decays_as_a_power(t, rate):
    with jax.enable_x64(True):
        decay = times.LogTime().decay(number(t), number([rate]))
        np.testing.assert_allclose(decay, (1 - t) ** rate, rtol=1e-12)


@given(inside, st.floats(1e-6, 0.5))
def test_linear_time_is_linear(t, cutoff):
    with jax.enable_x64(True):
        tau = times.LinearTime(cutoff).tau(number(t))
        np.testing.assert_allclose(tau, -t * np.log(cutoff), rtol=1e-10, atol=1e-12)


@given(inside)
def test_polynomial_time_of_power_one_is_log_time(t):
    with jax.enable_x64(True):
        reached = times.PolynomialTime(1.0).remaining(number(t))
        np.testing.assert_allclose(reached, times.LogTime().remaining(number(t)), atol=1e-15)


@given(inside)
def test_cosine_time_is_the_cosine(t):
    with jax.enable_x64(True):
        reached = times.CosineTime().remaining(number(t))
        np.testing.assert_allclose(reached, np.cos(np.pi * t / 2), atol=1e-15)


@pytest.mark.parametrize("make", [times.LogTime, times.PolynomialTime, times.CosineTime])
def test_end_is_exactly_infinite_also_in_single_precision(make):
    with jax.enable_x64(False):
        assert make().remaining(jnp.ones(())) == 0
        assert jnp.isinf(make().tau(jnp.ones(())))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: times.LinearTime(0.0), "cutoff"),
        (lambda: times.LogTime(1.0), "cutoff"),
        (lambda: times.CosineTime(-0.1), "cutoff"),
        (lambda: times.PolynomialTime(0.5), "power"),
    ],
)
def test_parameters_without_a_relaxation_are_refused(make, named):
    with pytest.raises(ValueError, match=named):
        make()
