"""The laws of every prior: the density is normalised, invariant, and that of the samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from built_in import own
from hiflow.groups import Permutation, Rotation, Translation
from hiflow.priors import CentredNormal, Normal, registry

PRIORS = [
    Normal((3,), scale=2.0),
    Normal((2,), scale=0.5, group=Rotation(2)),
    Normal((4, 2), group=Permutation()),
    CentredNormal(particles=4, dim=2, scale=1.5),
    CentredNormal(particles=13, dim=3),
]


def label(prior):
    return f"{type(prior).__name__}-{prior.event_shape}"


@pytest.fixture(scope="module")
def draws():
    keys = jax.random.split(jax.random.key(0), 20_000)
    return {id(prior): jax.vmap(prior.sample)(keys) for prior in PRIORS}


def free_basis(prior):
    """Orthonormal coordinates of the subspace that the prior lives on."""
    null = np.asarray(prior.group.null_modes(jnp.zeros(prior.event_shape)))
    full, _ = np.linalg.qr(np.concatenate([null, np.eye(null.shape[0])], axis=1))
    return full[:, null.shape[1] :]


@pytest.mark.parametrize("prior", PRIORS, ids=label)
def test_samples_lie_in_the_projected_subspace(prior, draws):
    x = draws[id(prior)]
    np.testing.assert_allclose(jax.vmap(prior.group.project)(x), x, atol=1e-5)


@pytest.mark.parametrize("prior", PRIORS, ids=label)
def test_sample_moments_are_those_of_the_scale(prior, draws):
    basis = free_basis(prior)
    z = np.asarray(draws[id(prior)]).reshape(20_000, -1) @ basis / float(prior.scale)
    np.testing.assert_allclose(z.mean(0), 0, atol=0.04)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(z.shape[1]), atol=0.06)


@pytest.mark.parametrize("prior", PRIORS, ids=label)
def test_density_is_the_gaussian_of_the_free_dimensions(prior, draws):
    basis = free_basis(prior)
    x = draws[id(prior)][:10]
    z = np.asarray(x, np.float64).reshape(10, -1) @ basis
    scale, free = float(prior.scale), basis.shape[1]
    expected = -(z**2).sum(1) / 2 / scale**2 - free / 2 * np.log(2 * np.pi * scale**2)
    np.testing.assert_allclose(jax.vmap(prior.log_prob)(x), expected, rtol=1e-5)


def test_density_integrates_to_one():
    axis = jnp.linspace(-4, 4, 201)
    grid = jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    p = jnp.exp(jax.vmap(Normal((2,), scale=0.5).log_prob)(grid))
    np.testing.assert_allclose(p.sum() * (axis[1] - axis[0]) ** 2, 1, rtol=1e-5)


def test_centred_density_integrates_to_one_on_the_centred_subspace():
    # Two particles on a line: the subspace is spanned by (1, -1) / sqrt 2.
    prior = CentredNormal(particles=2, dim=1, scale=0.7)
    r = jnp.linspace(-6, 6, 2001)
    points = r[:, None, None] * jnp.array([[1.0], [-1.0]]) / jnp.sqrt(2.0)
    p = jnp.exp(jax.vmap(prior.log_prob)(points))
    np.testing.assert_allclose(p.sum() * (r[1] - r[0]), 1, rtol=1e-5)


@pytest.mark.parametrize("prior", PRIORS, ids=label)
@given(seed=st.integers(0, 2**20))
def test_density_is_invariant_under_the_group(prior, seed):
    key_x, key_g = jax.random.split(jax.random.key(seed))
    x = prior.sample(key_x)
    g = prior.group.sample(key_g, prior.event_shape)
    np.testing.assert_allclose(
        prior.log_prob(prior.group.act(g, x)), prior.log_prob(x), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normal((2,), scale=-1.0), "`scale` must be positive"),
        (lambda: Normal((2, 0)), "positive integers"),
        (lambda: Normal((4, 2), group=Translation()), "CentredNormal"),
        (lambda: CentredNormal(particles=1, dim=3), "at least 2"),
        (lambda: CentredNormal(particles=4, dim=2, scale=0.0), "`scale` must be positive"),
        (lambda: Normal((2,)).log_prob(jnp.zeros((5, 2))), "jax.vmap"),
        (lambda: CentredNormal(4, 2).log_prob(jnp.zeros((2, 4))), "event shape"),
    ],
)
def test_bad_arguments_are_refused_with_the_cure(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_registry_makes_every_prior():
    assert {"centred-normal", "normal"} <= set(own(registry))
    made = registry.make({"name": "centred-normal"}, particles=4, dim=2)
    assert made.event_shape == (4, 2)
    assert registry.make({"name": "normal", "shape": [2]}).event_shape == (2,)
