"""Annealed importance sampling: exact on densities whose Z is known."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

import hiflow as hf
from hiflow.metrics import anneal, importance_sample
from hiflow.metrics._annealing_moves import Law, moved


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


@pytest.mark.parametrize(("temperatures", "leapfrog_steps"), [(1, 1), (8, 1), ("adaptive", 4)])
def test_the_free_energy_of_a_double_well_is_the_integrals(temperatures, leapfrog_steps):
    well = hf.energies.FunctionEnergy(lambda x: 3 * (x[0] ** 2 - 2) ** 2, shape=1)
    exact = -np.log(integrate.quad(lambda x: np.exp(-3 * (x**2 - 2) ** 2), -5, 5)[0])
    found = anneal(
        Wide(1.5, 1), well, key=jax.random.key(0), size=4_000, temperatures=temperatures,
        leapfrog_steps=leapfrog_steps,
    )  # fmt: skip
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


def test_slopes_of_another_law_change_nothing_but_the_acceptance():
    narrow = hf.energies.Gaussian(jnp.zeros(2), jnp.full(2, 4.0))
    flow, free, second = Wide(1.0), [], []
    for seed in range(12):
        # Long at a temperature where the law is the flow's, and the slopes aren't.
        found = anneal(
            flow, narrow, key=jax.random.key(seed), size=300, temperatures=[0.05, 1.0], moves=8,
            leapfrog_steps=3, step=0.5, slopes="energy",
        )  # fmt: skip
        value, error = found.samples.free_energy
        free.append((value + np.log(2 * np.pi / 4)) / error)
        value, error = found.samples.mean(lambda x: x[1] ** 2)
        second.append((value - 0.25) / error)
    for z in (free, second):
        assert abs(np.mean(z)) < 0.9
        assert np.std(z) < 1.9


@pytest.mark.parametrize("slopes", ["both", "energy"])
def test_what_is_known_is_of_where_samples_are(slopes):
    law = Law(Wide(1.0), STIFF, {}, slopes)
    start = law.state(jax.random.normal(jax.random.key(0), (20, 2)))
    given = jnp.asarray(0.3), jnp.log(jnp.asarray(0.05)), 3, True
    then, _, rate = moved(law, start, jax.random.key(1), *given)
    assert rate > 0.05
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    jax.tree.map(close, then, law.state(then.x))


def test_a_chosen_temperature_leaves_nine_tenths():
    key = jax.random.key(5)
    found = anneal(
        Wide(1.0), STIFF, key=key, size=400, temperatures="adaptive", moves=0, redraw=0.0
    )
    start = importance_sample(Wide(1.0), STIFF, key=jax.random.split(key, 3)[0], size=400)
    betas = [0.0, *found.inverse_temperatures]
    assert betas[-1] == 1
    assert len(betas) > 8
    left = []
    for before, after in itertools.pairwise(betas):
        w, v = np.exp(before * start.log_weights), np.exp((after - before) * start.log_weights)
        left.append((w @ v) ** 2 / (w.sum() * (w @ v**2)))
    np.testing.assert_allclose(left[:-1], 0.9, atol=1e-3)
    assert left[-1] >= 0.9


def test_where_the_energy_is_infinite_no_temperature_waits_for_it():
    half = hf.energies.FunctionEnergy(lambda x: jnp.where(x[0] > 0, x @ x / 2, jnp.inf), shape=2)
    found = anneal(
        Wide(1.0), half, key=jax.random.key(0), size=2_000, temperatures="adaptive",
        leapfrog_steps=3, step=0.5,
    )  # fmt: skip
    value, error = found.samples.free_energy
    assert len(found.ess) == 1
    assert abs(value + np.log(np.pi)) < 3 * error < 0.1


def test_doubt_is_of_the_worst_temperature():
    def with_temperatures(temperatures: Any):
        return anneal(
            Wide(1.0, 6), hf.energies.Gaussian(jnp.full(6, 0.5), 60.0), key=jax.random.key(2),
            size=600, temperatures=temperatures, moves=3, leapfrog_steps=4, redraw=0.9,
        )  # fmt: skip

    hasty, slow = with_temperatures([0.9, 1.0]), with_temperatures("adaptive")
    assert "at β = 0.9" in (hasty.doubt or "")
    # Its samples were drawn anew, so that their own weights show nothing.
    assert hasty.samples.pareto_k < hasty.pareto_ks[0]
    assert slow.doubt is None
    assert max(slow.pareto_ks) < 0.6
    assert "Pareto k at most" in str(slow)


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


def test_temperatures_may_be_an_array():
    flow, key = Wide(1.0), jax.random.key(0)
    given: list[Any] = [np.int64(2), np.array([0.5, 1.0]), jnp.array([0.5, 1.0])]
    for temperatures in given:
        found = anneal(flow, STIFF, key=key, size=20, moves=0, temperatures=temperatures)
        assert found.inverse_temperatures == (0.5, 1.0)


def test_settings_that_are_none_are_refused():
    settings: Any
    for settings, words in (
        ({"temperatures": 0}, "`temperatures` must be a whole number, at least 1"),
        ({"temperatures": 2.5}, "`temperatures` must be a whole number.*got 2.5"),
        ({"temperatures": [0.5, 0.2, 1.0]}, r"or these, rising .*; got \[0.5, 0.2, 1.0\]"),
        ({"temperatures": [0.5]}, "rising from above 0 to 1"),
        ({"temperatures": "adaptiv"}, 'or "adaptive"; got adaptiv'),
        ({"moves": -1}, "`moves` must be a whole number, at least 0"),
        ({"leapfrog_steps": 0}, "`leapfrog_steps` must be a whole number, at least 1"),
        ({"slopes": "flow"}, '`slopes` must be "both" or "energy", got \'flow\''),
        ({"step": 0.0}, "`step` must be positive"),
        ({"redraw": 2.0}, r"`redraw` must be in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=words):
            anneal(Wide(1.0), STIFF, key=jax.random.key(0), size=5, **settings)
    with pytest.raises(ValueError, match=r"events of shape \(3,\)"):
        anneal(Wide(1.0, 3), STIFF, key=jax.random.key(0), size=5)
