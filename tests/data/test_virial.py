"""The virial check tells data that follow an energy from data that don't."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow.data import Samples, check_virial, warn_if_inconsistent
from hiflow.energies import DoubleWellParticles, Gaussian, LennardJones

ENERGY = Gaussian(jnp.zeros(4), [1.0, 10.0, 100.0, 0.1])


@pytest.fixture(scope="module")
def points():
    return jax.vmap(ENERGY.sample)(jax.random.split(jax.random.key(0), 5_000))


def test_exact_samples_pass(points):
    report = check_virial(ENERGY, points)
    assert report.expected == 4
    assert report.z < 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_inconsistent(ENERGY, points)


def test_a_factor_two_in_the_energy_warns(points):
    double = Gaussian(ENERGY.mean, 2 * ENERGY.precision)
    with pytest.warns(UserWarning, match="convention"):
        report = warn_if_inconsistent(double, points)
    np.testing.assert_allclose(report.mean, 8, rtol=0.1)


def test_samples_that_are_not_finite_warn(points):
    with pytest.warns(UserWarning, match="don't follow"):
        warn_if_inconsistent(ENERGY, points.at[0].set(jnp.nan))


@pytest.mark.parametrize(
    ("energy", "expected"),
    [(LennardJones.preset("lj13"), 36), (DoubleWellParticles.preset("dw4"), 6)],
    ids=["lj13", "dw4"],
)
def test_expected_virial_leaves_translations_out(energy, expected):
    x = jax.random.normal(jax.random.key(0), (3, *energy.event_shape))
    assert check_virial(energy, x).expected == expected
    shifted = check_virial(energy, x + 10.0)
    np.testing.assert_allclose(shifted.mean, check_virial(energy, x).mean, rtol=1e-2)


def test_standard_error_counts_chains_not_correlated_samples(points):
    # Each chain repeats one sample 50 times: the error is that of 100 samples, not of 5,000.
    repeated = jnp.repeat(points[:100], 50, axis=0)
    chains = np.repeat(np.arange(100), 50)
    honest = check_virial(ENERGY, Samples(repeated, chains)).standard_error
    np.testing.assert_allclose(honest, check_virial(ENERGY, points[:100]).standard_error, rtol=1e-3)
    assert honest > 5 * check_virial(ENERGY, repeated).standard_error


def test_points_of_another_shape_are_refused(points):
    with pytest.raises(ValueError, match=r"shape \(n, 4\) with n ≥ 2"):
        check_virial(ENERGY, points[:, :3])
    with pytest.raises(ValueError, match="one label per sample"):
        check_virial(ENERGY, points, chains=np.zeros(3))


def test_a_single_chain_is_judged_by_its_stretches():
    # x' = 0.99 x + noise remembers about 100 steps: were they independent, a tenth of the error.
    generator = np.random.default_rng(0)
    energy = Gaussian(jnp.zeros(1), jnp.eye(1))
    chains = np.zeros((200, 4_000))
    chains[:, 0] = generator.normal(size=200)
    for step in range(1, 4_000):
        noise = generator.normal(size=200)
        chains[:, step] = 0.99 * chains[:, step - 1] + np.sqrt(1 - 0.99**2) * noise
    found = [
        check_virial(energy, Samples(jnp.asarray(chain[:, None]), np.zeros(4_000))).standard_error
        for chain in chains[:20]
    ]
    spread = (chains**2).mean(axis=1).std()
    assert 0.6 * spread < np.sqrt(np.mean(np.square(found))) < 1.4 * spread
