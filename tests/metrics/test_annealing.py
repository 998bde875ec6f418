"""Annealed importance sampling: exact on densities whose Z is known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

import hiflow as hf
from hiflow.metrics import anneal, importance_sample


class Wide:
    """A normal density with the methods of a flow."""

    def __init__(self, scale, dim=2):
        self.prior = hf.priors.Normal(dim, scale=scale)

    def sample_and_log_prob(self, key, n, **_):
        x = jax.vmap(self.prior.sample)(jax.random.split(key, n))
        return x, self.log_prob(x)

    def log_prob(self, x, **_):
        return jax.vmap(self.prior.log_prob)(x)


STIFF = hf.energies.Gaussian(jnp.array([1.0, 0.0]), jnp.array([100.0, 4.0]))
FREE = np.log(20 / (2 * np.pi))


def test_the_mean_weight_is_the_partition_function():
    flow, z, ess = Wide(1.0), [], []
    for seed in range(30):
        found = anneal(flow, STIFF, key=jax.random.key(seed), size=300)
        value, error = found.samples.free_energy
        z.append((value - FREE) / error)
        ess.append(found.samples.ess)
    assert abs(np.mean(z)) < 0.6
    assert 0.6 < np.std(z) < 1.5
    plain = importance_sample(flow, STIFF, key=jax.random.key(0), size=9_000).ess
    assert np.mean(ess) > 4 * plain


def test_weighted_means_are_the_targets():
    flow = Wide(1.0)
    found = [anneal(flow, STIFF, key=jax.random.key(seed), size=300) for seed in range(30)]
    for observable, exact in ((lambda x: x[0], 1.0), (lambda x: x[1] ** 2, 0.25)):
        value, error = np.transpose([each.samples.mean(observable) for each in found])
        z = (value - exact) / error
        assert abs(z.mean()) < 0.6
        assert z.std() < 1.6


@pytest.mark.parametrize("temperatures", [1, 8])
def test_the_free_energy_of_a_double_well_is_the_integrals(temperatures):
    well = hf.energies.FunctionEnergy(lambda x: 3 * (x[0] ** 2 - 2) ** 2, shape=1)
    exact = -np.log(integrate.quad(lambda x: np.exp(-3 * (x**2 - 2) ** 2), -5, 5)[0])
    found = anneal(Wide(1.5, 1), well, key=jax.random.key(0), size=4_000, temperatures=temperatures)
    value, error = found.samples.free_energy
    assert abs(value - exact) < 3.5 * error < 0.2


@pytest.mark.parametrize("temperatures", [1, 5])
def test_without_moves_the_weights_are_those_of_importance_sampling(temperatures):
    key = jax.random.key(3)
    found = anneal(
        Wide(1.0), STIFF, key=key, size=50, moves=0, redraw=0.0, temperatures=temperatures
    )
    plain = importance_sample(Wide(1.0), STIFF, key=jax.random.split(key, 3)[0], size=50)
    np.testing.assert_allclose(found.samples.log_weights, plain.log_weights, rtol=1e-4, atol=1e-4)
    assert found.drawn_anew == 0


def test_moves_leave_the_target_as_it_is():
    exact = Wide(1.0)
    energy = hf.energies.Gaussian(jnp.zeros(2), jnp.ones(2))
    found = anneal(exact, energy, key=jax.random.key(0), size=4_000, temperatures=3, step=0.8)
    np.testing.assert_allclose(found.samples.ess, 1, atol=1e-4)
    np.testing.assert_allclose(found.samples.x.T @ found.samples.x / 4_000, np.eye(2), atol=0.1)
    assert 0.4 < np.mean(found.acceptance) < 1


def test_moves_alone_bring_samples_to_the_energy():
    still, moved = (
        anneal(Wide(0.5), STIFF, key=jax.random.key(0), size=500, temperatures=1, moves=moves)
        for moves in (0, 60)
    )
    # After many moves the plain mean, without weights, is the target's.
    assert abs(float(jnp.mean(still.samples.x[:, 0])) - 1) > 0.8
    assert abs(float(jnp.mean(moved.samples.x[:, 0])) - 1) < 0.03


def test_a_real_flow_of_particles_stays_centred():
    prior = hf.priors.CentredNormal(particles=3, dim=2)
    network = hf.networks.EGNN(particles=3, dim=2, width=4, depth=1, key=jax.random.key(0))
    energy = hf.energies.LennardJones(particles=3, dim=2)
    flow = hf.Flow(prior, network, steps=4)
    found = anneal(flow, energy, key=jax.random.key(1), size=40, temperatures=3, moves=1, step=0.01)
    np.testing.assert_allclose(found.samples.x.mean(axis=1), 0, atol=1e-5)
    assert np.isfinite(found.samples.free_energy).all()
    assert "annealed over 3 temperatures: ESS" in str(found)
    # The tracked densities are the flow's.
    same = np.asarray(jax.vmap(energy)(found.samples.x))
    np.testing.assert_allclose(found.samples.energies, same, rtol=1e-4)


def test_settings_that_are_none_are_refused():
    settings: Any
    for settings, words in (
        ({"temperatures": 0}, "`temperatures` must be a whole number, at least 1"),
        ({"temperatures": 2.5}, "`temperatures` must be a whole number, at least 1, got 2.5"),
        ({"moves": -1}, "`moves` must be a whole number, at least 0"),
        ({"step": 0.0}, "`step` must be positive"),
        ({"redraw": 2.0}, r"`redraw` must be in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=words):
            anneal(Wide(1.0), STIFF, key=jax.random.key(0), size=5, **settings)
    with pytest.raises(ValueError, match=r"events of shape \(3,\)"):
        anneal(Wide(1.0, 3), STIFF, key=jax.random.key(0), size=5)
