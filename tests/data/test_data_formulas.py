"""The virial check and the transform of pixels against their formulas, written in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from hiflow import energies
from hiflow.data import PixelTransform, check_virial, sample

RANDOM = np.random.default_rng(0)


def student(degrees):
    """Half of Student's 68.3 % interval, in standard errors."""
    return stats.t(degrees).ppf(stats.norm.cdf(1))


def test_the_virial_is_the_mean_of_position_times_gradient(x64):
    precision = np.array([[4.0, 1.0, 0.0], [1.0, 2.0, 0.3], [0.0, 0.3, 1.0]])
    mean, points = RANDOM.normal(size=3), RANDOM.normal(size=(6, 3))
    report = check_virial(energies.Gaussian(mean, precision), points)
    values = np.array([x @ precision @ (x - mean) for x in points])
    np.testing.assert_allclose(report.mean, values.mean(), rtol=1e-6)
    error = values.std(ddof=1) / np.sqrt(6) * student(5)
    np.testing.assert_allclose(report.standard_error, error, rtol=1e-5)
    assert report.expected == 3
    np.testing.assert_allclose(report.z, abs(values.mean() - 3) / error, rtol=1e-5)


def test_the_virial_of_particles_is_about_their_mean(x64):
    x = 1.2 * np.argwhere(np.ones((2, 2))) + 0.1 * RANDOM.normal(size=(3, 4, 2)) + 7
    report = check_virial(energies.LennardJones(4, dim=2, epsilon=1.5, trap=0.4), x)
    values = []
    for one in x:
        centred = one - one.mean(0)
        d = np.array([np.linalg.norm(one[i] - one[j]) for i in range(4) for j in range(i)])
        # d φ′(d), summed over pairs, and the trap's.
        values.append(np.sum(18 * (d**-6 - d**-12)) + 0.4 * np.sum(centred**2))
    np.testing.assert_allclose(report.mean, np.mean(values), rtol=1e-6)
    assert report.expected == 6


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [5, 5, 5, 2, 2, 9]])
def test_over_chains_the_error_is_that_of_their_sums(labels, x64):
    points = RANDOM.normal(size=(6, 1))
    report = check_virial(energies.Gaussian(np.zeros(1)), points, chains=np.array(labels))
    values = points[:, 0] ** 2
    variance, share = 0.0, []
    for chain in set(labels):
        inside = np.array(labels) == chain
        share.append(inside.mean())
        # What the chain's sum pulls the mean along is given back.
        variance += (np.sum((values - values.mean())[inside]) / 6) ** 2 / (1 - share[-1])
    degrees = 1 / np.sum(np.square(share)) - 1
    expected = np.sqrt(variance) * student(degrees)
    np.testing.assert_allclose(report.standard_error, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("levels", "alpha", "shift", "scale"), [(256, 0.05, 0.0, 1.0), (17, 0.1, -0.5, 2.5)]
)
def test_pixels_are_the_logit_of_a_shrunk_cube(levels, alpha, shift, scale, x64):
    transform = PixelTransform(levels=levels, alpha=alpha, shift=shift, scale=scale)
    u = RANDOM.uniform(size=(2, 3))
    p = alpha + (1 - 2 * alpha) * u
    z = (np.log(p / (1 - p)) - shift) / scale
    np.testing.assert_allclose(transform.forward(jnp.asarray(u)), z, rtol=1e-6)
    np.testing.assert_allclose(transform.inverse(jnp.asarray(z)), u, rtol=1e-6)
    np.testing.assert_array_equal(transform.to_pixels(jnp.asarray(z)), np.floor(u * levels))
    log_det = np.sum(np.log((1 - 2 * alpha) / (p * (1 - p) * scale)))
    np.testing.assert_allclose(transform.log_det(jnp.asarray(z)), log_det, rtol=1e-6)
    bits = -(-3.7 + log_det - 6 * np.log(levels)) / (6 * np.log(2))
    found = transform.bits_per_dim(jnp.asarray(-3.7), jnp.asarray(z))
    np.testing.assert_allclose(found, bits, rtol=1e-6)


def test_dequantisation_adds_less_than_a_level(x64):
    pixels = RANDOM.integers(0, 17, size=(50, 4))
    u = PixelTransform(levels=17).dequantise(pixels, key=jax.random.key(0))
    np.testing.assert_array_equal(np.floor(u * 17), pixels)
    assert abs(np.mean(u * 17 - pixels) - 0.5) < 0.1


def test_a_report_is_of_the_samples_and_their_chains(x64):
    energy = energies.FunctionEnergy(lambda x: jnp.sum(2 * x**2), (2,))
    settings = {"chains": 10, "burn_in": 20, "thin": 2, "leapfrog_steps": 4}
    drawn = sample(energy, key=jax.random.key(0), size=40, cache=False, progress=False, **settings)
    values = 2 * np.sum(np.asarray(drawn.points) ** 2, axis=1)
    report = drawn.report
    assert report is not None
    np.testing.assert_allclose(report.mean_energy, values.mean(), rtol=1e-6)
    np.testing.assert_allclose(report.energy_sd, values.std(ddof=1), rtol=1e-6)
    # Four draws of each of ten chains, all chains' first draws first.
    means = values.reshape(4, 10).mean(0)
    error = means.std(ddof=1) / np.sqrt(10) * student(9)
    np.testing.assert_allclose(report.energy_error, error, rtol=1e-5)
    effective = min((values.std(ddof=1) / report.energy_error) ** 2, 40)
    np.testing.assert_allclose(report.effective_samples, effective, rtol=1e-6)
    assert (report.samples, report.chains, report.free_dimensions) == (40, 10, 2)
    assert sum(report.histogram[0]) == 40
    np.testing.assert_array_equal(drawn.chains, np.tile(np.arange(10), 4))
