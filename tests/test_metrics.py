"""Numbers that are printed: means with the errors of means."""

import jax
import jax.numpy as jnp
import numpy as np

import hiflow as hf
from hiflow.metrics import negative_log_likelihood, standard_error


def test_standard_error_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=(2_000, 50))
    errors = np.array([standard_error(jnp.asarray(row)) for row in values[:200]])
    np.testing.assert_allclose(errors.mean(), values.mean(1).std(), rtol=0.05)
    assert standard_error(jnp.ones(1)) == float("inf")


def test_nll_of_the_untrained_flow_is_the_priors():
    prior = hf.priors.Normal(2)
    flow = hf.Flow(prior, hf.networks.MLP(2, 4, 1, key=jax.random.key(0)))
    points = jax.vmap(prior.sample)(jax.random.split(jax.random.key(1), 64))
    found = negative_log_likelihood(flow, points)
    log_p = flow.log_prob(points)
    np.testing.assert_allclose(found.nll, -log_p.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.nll_se, log_p.std(ddof=1) / 8, rtol=1e-5)
    assert found.nfe_max >= found.nfe > 0
