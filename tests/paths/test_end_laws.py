"""Samples of the end law, and what it says of an energy before anything is trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf

PRECISION = jnp.array([1.0, 4.0, 25.0])
ENERGY = hf.energies.Gaussian(jnp.array([1.0, 0.0, -2.0]), PRECISION)
PRIOR = hf.priors.Normal(3)


def ends(path):
    data = hf.data.sample(ENERGY, key=jax.random.key(0), size=8_000, progress=False, cache=False)
    anchors = hf.paths.make_anchors(path, data.points)
    return hf.paths.end_law_samples(path, anchors, PRIOR, key=jax.random.key(1)), data.points


@pytest.mark.parametrize("step", [0.2, 0.7, 1.0])
def test_the_relaxed_end_law_leaves_a_gaussian_alone(step):
    path = hf.paths.Relaxed(ENERGY, curvature=hf.spectral.Shifted(1e-6), step=step)
    found, points = ends(path)
    virial = hf.data.check_virial(ENERGY, found)
    assert virial.z < 4
    np.testing.assert_allclose(found.var(0) * PRECISION, 1, atol=0.08)
    assert jnp.abs(found - points).max() > 0.3


def test_the_langevin_end_law_counts_the_noise_twice():
    found, _ = ends(hf.paths.Langevin(ENERGY, curvature=hf.spectral.Shifted(1e-6)))
    np.testing.assert_allclose(found.var(0) * PRECISION, 2, atol=0.16)
    assert hf.data.check_virial(ENERGY, found).z > 10


def test_a_deterministic_path_ends_in_the_data():
    found, points = ends(hf.paths.Linearised(ENERGY))
    np.testing.assert_allclose(found, points, atol=1e-6)


@pytest.mark.parametrize("step", [0.0, 1.5])
def test_a_step_is_a_share_of_the_way(step):
    with pytest.raises(ValueError, match="`step` must be"):
        hf.paths.Relaxation(step=step)
