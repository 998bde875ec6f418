"""The priors' densities against their formulas, written in NumPy, in double precision."""

import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import priors


def _gaussian(squares, dimensions, scale):
    """log N of a point at this squared distance from the mean."""
    return -squares / (2 * scale**2) - dimensions / 2 * np.log(2 * np.pi * scale**2)


@pytest.mark.parametrize("scale", [1.0, 0.3, 2.5])
@pytest.mark.parametrize("shape", [(1,), (3,), (4, 2)])
def test_normal_is_the_gaussian_of_all_coordinates(shape, scale, x64):
    x = np.random.default_rng(0).normal(size=shape)
    found = priors.Normal(shape, scale=scale).log_prob(jnp.asarray(x))
    np.testing.assert_allclose(found, _gaussian((x**2).sum(), x.size, scale), rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.3, 2.5])
@pytest.mark.parametrize(("particles", "dim"), [(2, 1), (5, 3), (4, 2)])
def test_centred_normal_is_the_gaussian_of_what_is_left_without_the_mean(
    particles, dim, scale, x64
):
    x = np.random.default_rng(1).normal(size=(particles, dim)) + 3
    projector = np.eye(particles) - np.ones((particles, particles)) / particles
    free = round(np.trace(projector)) * dim
    found = priors.CentredNormal(particles, dim, scale=scale).log_prob(jnp.asarray(x))
    np.testing.assert_allclose(
        found, _gaussian(((projector @ x) ** 2).sum(), free, scale), rtol=1e-6
    )
