"""Every spectral map against its formula, written in NumPy, in double precision."""

import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import spectral

EIGENVALUES = np.array([-380.0, -3.0, -0.5, 0.0, 0.2, 1.0, 3.0, 100.0, 7068.0])
h = 0.7  # of the inner Absolute


def _half_a_turn(k):
    return np.array([k[(i - len(k) // 2) % len(k)] for i in range(len(k))])


def _sigma(s):
    return s / (1 + 0.02 * s)


# Name: the map, its formula, its lower bound.
MAPS = {
    "constant": (lambda: spectral.Constant(), lambda x: 1 + 0 * x, 1.0),
    "absolute": (lambda: spectral.Absolute(), lambda x: abs(x) + 1, 1.0),
    "absolute, h = 30": (lambda: spectral.Absolute(shift=30), lambda x: abs(x) + 30, 30.0),
    "clamped": (lambda: spectral.Clamped(), lambda x: np.where(x > 1, x, 1), 1.0),
    "clamped at 2.5": (lambda: spectral.Clamped(2.5), lambda x: np.where(x > 2.5, x, 2.5), 2.5),
    "shifted": (
        lambda: spectral.Shifted(shift=400.0, least=-390.0),
        lambda x: x + 400,
        10.0,
    ),
    "power": (lambda: spectral.Power(), lambda x: np.sqrt(np.maximum(abs(x), 1)), 1.0),
    "power 1.5 above 0.3": (
        lambda: spectral.Power(exponent=1.5, least=0.3),
        lambda x: np.maximum(abs(x), 0.3) ** 1.5,
        0.3**1.5,
    ),
    "saturating": (
        lambda: spectral.Saturating(),
        lambda x: np.where(x > 0, 1 + x / (x + 100), 1),
        1.0,
    ),
    "saturating, kappa = -0.3": (
        lambda: spectral.Saturating(kappa=-0.3, stiffness=2.0),
        lambda x: np.where(x > 0, 1 - 0.3 * x / (x + 2), 1),
        0.7,
    ),
    "affine-power": (lambda: spectral.AffinePower(), lambda x: abs(x) + 1, 1.0),
    "affine-power of six numbers": (
        lambda: spectral.AffinePower(0.3, 2.0, 0.7, negative=0.4, least=0.1, saturation=0.02),
        lambda x: 0.3 + 2 * _sigma(np.maximum(np.where(x < 0, -0.4 * x, x), 0.1)) ** 0.7,
        0.3 + 2 * (0.1 / 1.002) ** 0.7,
    ),
    "trace-normalised": (
        lambda: spectral.TraceNormalised(spectral.Absolute(h)),
        lambda x: 0.55 + 0.45 * (abs(x) + h) * len(x) / sum(abs(x) + h),
        0.55,
    ),
    "trace-normalised from 0.2": (
        lambda: spectral.TraceNormalised(spectral.Absolute(h), floor=0.2),
        lambda x: 0.2 + 0.8 * (abs(x) + h) * len(x) / sum(abs(x) + h),
        0.2,
    ),
    "raised": (
        lambda: spectral.Raised(spectral.Absolute(h), exponent=0.25),
        lambda x: (abs(x) + h) ** 0.25,
        h**0.25,
    ),
    "mean rate": (
        lambda: spectral.MeanRate(spectral.Absolute(h)),
        lambda x: 0 * x + sum(abs(x) + h) / len(x),
        h,
    ),
    "shuffled": (
        lambda: spectral.Shuffled(spectral.Absolute(h)),
        lambda x: _half_a_turn(abs(x) + h),
        h,
    ),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_map_is_its_formula(name, x64):
    make, formula, lower_bound = MAPS[name]
    one = make()
    for eigenvalues in (EIGENVALUES, EIGENVALUES[::2], 0.01 * EIGENVALUES):
        found = one(jnp.asarray(eigenvalues))
        np.testing.assert_allclose(found, formula(eigenvalues), rtol=1e-6)
    np.testing.assert_allclose(one.lower_bound, lower_bound, rtol=1e-6)


def test_shuffled_shares_among_equal_eigenvalues(x64):
    found = spectral.Shuffled(spectral.Absolute(h))(jnp.array([1.0, 1.0, 5.0, 9.0]))
    # Handed on by two places: 5, 9, 1, 1, and the first two share.
    np.testing.assert_allclose(found, np.array([7.0, 7.0, 1.0, 1.0]) + h)


def test_shifted_refuses_what_is_below_its_least(x64):
    assert np.isnan(spectral.Shifted()(jnp.array([-1.0, 1.0]))).tolist() == [True, False]
