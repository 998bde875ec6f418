"""Free energies of states and temperatures, and surfaces, against closed forms and bootstraps."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import hiflow as hf
from hiflow.metrics import (
    Weighted,
    equally_weighted,
    free_energy_between,
    free_energy_of_heating,
    free_energy_surface,
    ramachandran,
    weigh,
)

SCALE = 1.3
UNITS = hf.energies.Units(300.0)


def tilted(seed, n=2_000):
    """Wide normal samples, weighted to N(0, 1)."""
    x = np.random.default_rng(seed).normal(0, SCALE, n)
    return Weighted(jnp.asarray(x[:, None]), x**2 / 2, stats.norm.logpdf(x, 0, SCALE), units=UNITS)


def test_states_differ_by_the_logarithm_of_their_shares():
    exact = -np.log(stats.norm.sf(1) / stats.norm.cdf(1))
    found = [free_energy_between(s, s.x[:, 0] <= 1, s.x[:, 0] > 1) for s in map(tilted, range(80))]
    z = np.array([(each.value - exact) / each.error for each in found])
    assert abs(z.mean()) < 0.4
    np.testing.assert_allclose(z.std(), 1, atol=0.25)


def test_a_state_may_be_a_function_of_one_event():
    s = tilted(0)
    by_values = free_energy_between(s, s.x[:, 0] <= 1, s.x[:, 0] > 1)
    assert free_energy_between(s, lambda x: x[0] <= 1, lambda x: x[0] > 1) == by_values
    back = free_energy_between(s, lambda x: x[0] > 1, lambda x: x[0] <= 1)
    np.testing.assert_allclose([back.value, back.error], [-by_values.value, by_values.error])


def test_the_error_of_states_is_the_bootstraps():
    s, rng = tilted(3), np.random.default_rng(0)
    resampled = []
    for _ in range(400):
        i = rng.integers(0, 2_000, 2_000)
        w, up = s.weights[i], np.asarray(s.x[i, 0]) > 1
        resampled.append(-np.log(w[up].sum() / w[~up].sum()))
    found = free_energy_between(s, lambda x: x[0] <= 1, lambda x: x[0] > 1)
    np.testing.assert_allclose(found.error, np.std(resampled), rtol=0.12)


def test_over_chains_the_error_is_that_of_the_chains():
    energy = hf.energies.FunctionEnergy(lambda x: x[0] * 0, shape=1)
    # Every chain stays on one side: as many independent samples as there are chains.
    rng = np.random.default_rng(1)
    values = []
    for _ in range(120):
        side = np.repeat(rng.random(40) < 0.3, 50)
        samples = hf.data.Samples(side[:, None].astype(np.float32), np.repeat(np.arange(40), 50))
        found = free_energy_between(equally_weighted(samples, energy), ~side, side)
        values.append([found.value, found.error])
    value, error = np.transpose(values)
    np.testing.assert_allclose(error.mean(), value.std(), rtol=0.15)


def test_kilojoules_are_those_of_the_temperature():
    found = free_energy_between(tilted(0), lambda x: x[0] <= 1, lambda x: x[0] > 1)
    # R T at 300 K, by hand.
    np.testing.assert_allclose(
        found.kJ_per_mol, np.array([found.value, found.error]) * 2.494339, 1e-6
    )
    assert str(found).endswith("kJ/mol at 300 K")
    assert f"{found.value:.3f} ± {found.error:.3f} kT = " in str(found)
    with pytest.raises(ValueError, match="no units to know kJ/mol by"):
        _ = dataclasses.replace(found, units=None).kJ_per_mol


def test_heating_an_oscillator_costs_its_closed_form():
    # F(T) = -kT log √(2π) with V = x²/2 at T; at rT it is V/r, so F/kT(rT) = -log √(2π r).
    ratio = 1.4
    exact = -(ratio * np.log(2 * np.pi * ratio) - np.log(2 * np.pi)) / 2
    found = [free_energy_of_heating(tilted(seed), ratio) for seed in range(80)]
    z = np.array([(each.value - exact) / each.error for each in found])
    assert abs(z.mean()) < 0.4
    np.testing.assert_allclose(z.std(), 1, atol=0.3)
    hot = tilted(0).at_temperature(ratio)
    assert hot.units == hf.energies.Units(420.0)
    np.testing.assert_allclose(hot.mean(lambda x: x[0] ** 2)[0], ratio, rtol=0.1)


def test_samples_of_the_energy_itself_have_no_free_energy():
    energy = hf.energies.Gaussian(jnp.zeros(1), 1.0)
    with pytest.raises(ValueError, match="don't tell its Z"):
        free_energy_of_heating(equally_weighted(jnp.ones((3, 1)), energy), 2.0)
    with pytest.raises(ValueError, match="`ratio` must be a positive number; got -1"):
        free_energy_of_heating(tilted(0), -1.0)


def test_a_surface_is_the_logarithm_of_the_density():
    edges = np.array([-3.0, -1, -0.5, 0, 0.5, 1, 3])
    exact = -np.log(np.diff(stats.norm.cdf(edges)) / np.diff(edges))
    sets = [tilted(seed, 1_000) for seed in range(150)]
    found = [free_energy_surface(s, s.x[:, 0], [edges]) for s in sets]
    density = np.mean([np.exp(-each.free_energy) for each in found], axis=0)
    surface = -np.log(density) + np.log(density.max())
    np.testing.assert_allclose(surface, exact - exact.min(), atol=0.08)
    assert all(each.free_energy.min() == 0 for each in found)
    # The errors, of -log p: the spread of fresh samples' shares.
    shares = [np.histogram(s.x[:, 0], edges, weights=s.weights)[0] for s in sets]
    spread = np.std(-np.log(shares), axis=0)
    np.testing.assert_allclose(np.mean([each.error for each in found], 0), spread, rtol=0.2)


def test_a_surfaces_bins_are_those_of_a_histogram():
    values, edges = (
        np.array([-1.0, 0.0, 0.0, 1.0, 1.5, 2.0, 2.0, 2.0, 3.0]),
        np.array([0.0, 1.0, 2.0]),
    )
    energy = hf.energies.Gaussian(jnp.zeros(1), 1.0)
    reference = equally_weighted(jnp.zeros((9, 1)), energy)
    counts, _ = np.histogram(values, edges)
    surface = free_energy_surface(reference, values, [edges])
    np.testing.assert_allclose(surface.free_energy, np.log(counts.max() / counts))


def test_a_surface_over_chains_of_single_samples_is_that_of_samples():
    s, edges = tilted(0), [np.linspace(-2, 2, 5), np.linspace(0, 4, 4)]
    one = free_energy_surface(s, lambda x: jnp.array([x[0], x[0] ** 2]), edges)
    chained = dataclasses.replace(s, chains=np.arange(2_000))
    two = free_energy_surface(chained, lambda x: jnp.array([x[0], x[0] ** 2]), edges)
    np.testing.assert_array_equal(one.free_energy, two.free_energy)
    full = np.isfinite(one.free_energy)
    np.testing.assert_allclose(one.error[full], two.error[full], rtol=2e-3)
    assert np.isinf(one.error[~full]).all()
    assert (~full).any()


def test_ramachandran_wraps_torsions_into_one_turn():
    rng = np.random.default_rng(0)
    phi, psi = rng.vonmises(1.0, 2.0, (2, 4_000))
    energy = hf.energies.FunctionEnergy(lambda x: x[0] * 0, shape=2)
    angles = np.stack([phi, psi], axis=1)
    here = ramachandran(equally_weighted(jnp.asarray(angles), energy), angles, bins=12)
    there = ramachandran(equally_weighted(jnp.asarray(angles), energy), angles + 2 * np.pi, bins=12)
    np.testing.assert_allclose(here.free_energy, there.free_energy)
    i, j = np.unravel_index(np.argmin(here.free_energy), here.free_energy.shape)
    assert here.edges[0][i] - 0.6 < 1.0 < here.edges[0][i + 1] + 0.6
    assert here.edges[1][j] - 0.6 < 1.0 < here.edges[1][j + 1] + 0.6


def test_an_energy_of_a_real_system_gives_its_units():
    class Real(hf.energies.AbstractEnergy):
        event_shape = (1,)
        group = hf.groups.Trivial()
        units = UNITS

        def __call__(self, x):
            return jnp.sum(x**2) / 2

    assert weigh(jnp.ones((3, 1)), jnp.zeros(3), Real()).units == UNITS
    assert (
        weigh(jnp.ones((3, 1)), jnp.zeros(3), hf.energies.Gaussian(jnp.zeros(1), 1.0)).units is None
    )


def test_what_is_no_state_is_refused():
    s = tilted(0, 10)
    with pytest.raises(ValueError, match="`a` must say of every sample whether it is in the state"):
        free_energy_between(s, s.x[:, 0], s.x[:, 0] > 1)
    with pytest.raises(ValueError, match="no sample is in the state `b`"):
        free_energy_between(s, s.x[:, 0] < 9, s.x[:, 0] > 9)
    with pytest.raises(ValueError, match="1 observables and 2 arrays of `edges`"):
        free_energy_surface(s, s.x[:, 0], [np.arange(3.0), np.arange(3.0)])
    with pytest.raises(ValueError, match="no sample is in any of the bins"):
        free_energy_surface(s, s.x[:, 0], [np.array([90.0, 91.0])])


class Stiffer(hf.energies.AbstractEnergy):
    """A normal density of precision 2, of a real system."""

    units: hf.energies.Units = eqx.field(static=True, default=UNITS)
    event_shape = (1,)
    group = hf.groups.Trivial()

    def __call__(self, x):
        return jnp.sum(x**2)


def test_differences_of_energies_say_their_temperature():
    samples = tilted(0)
    found = samples.free_energy_difference(Stiffer())
    value, error = found
    assert abs(value - np.log(2) / 2) < 4 * error
    assert str(found).endswith("kJ/mol at 300 K")
    assert samples.free_energy_difference(Stiffer(hf.energies.Units(400.0))).units is None
    with pytest.raises(ValueError, match="positions in nm, and the samples are in Å"):
        samples.free_energy_difference(Stiffer(hf.energies.Units(300.0, "nm")))
