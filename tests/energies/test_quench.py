"""Quenching ends in minima, moves with the symmetry, and gives providers and paths their modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import energies, hessians, paths, priors, spectral
from hiflow.energies import FunctionEnergy, _lanes, quench
from hiflow.groups import linear_part
from hiflow.testing import check_path

LJ4 = energies.LennardJones(4, 3)


def points(energy, n, scale=1.0):
    x = scale * jax.random.normal(jax.random.key(0), (n, *energy.event_shape))
    return jax.vmap(energy.group.project)(x)


def test_a_gaussian_is_quenched_to_its_mean(x64):
    mean = jnp.array([1.0, -2.0, 0.5])
    energy = energies.Gaussian(mean, jnp.array([1.0, 30.0, 4.0]))
    found = jax.jit(jax.vmap(lambda x: quench(energy, x, tolerance=1e-10)))(points(energy, 5))
    np.testing.assert_allclose(found, jnp.tile(mean, (5, 1)), atol=1e-6)


def test_the_ring_is_quenched_onto_the_ring(x64):
    energy = energies.Ring(radius=2.0, width=0.08)
    found = jax.jit(jax.vmap(lambda x: quench(energy, x, tolerance=1e-9)))(points(energy, 8))
    np.testing.assert_allclose(jnp.linalg.norm(found, axis=1), 2.0, atol=1e-5)


@pytest.fixture(scope="module")
def minima():
    with jax.enable_x64(True):
        x = points(LJ4, 6)
        return x, jax.jit(jax.vmap(lambda y: quench(LJ4, y, tolerance=1e-9)))(x)


def test_particles_end_in_a_lower_stationary_point_and_stay_centred(minima, x64):
    before, after = minima
    assert (jax.vmap(LJ4)(after) < jax.vmap(LJ4)(before)).all()
    assert jnp.abs(jax.vmap(jax.grad(LJ4))(after)).max() < 1e-3
    np.testing.assert_allclose(after.mean(axis=1), 0, atol=1e-8)


def test_the_minimum_moves_with_the_symmetry(minima, x64):
    before, after = minima
    g = LJ4.group.sample(jax.random.key(1), (4, 3))
    turn = jax.jit(jax.vmap(lambda x: linear_part(LJ4.group, g, x)))
    there = jax.jit(jax.vmap(lambda y: quench(LJ4, y, tolerance=1e-9)))(turn(before))
    np.testing.assert_allclose(there, turn(after), atol=1e-4)


def test_the_quenched_spectrum_has_no_negative_mode_and_marks_rotations(minima, x64):
    before, _ = minima
    provider = hessians.Quenched(tolerance=1e-9)
    spectra = jax.jit(jax.vmap(lambda x: provider.spectrum(LJ4, x)))(before)
    assert (spectra.eigenvalues > -1e-3).all()
    assert (spectra.orbit.sum(axis=1) == 3).all()
    thermal = jax.vmap(lambda x: hessians.Dense().spectrum(LJ4, x).eigenvalues)(before)
    assert (thermal < -1).any()


def test_at_minimum_ends_around_the_minimum_with_its_own_modes(minima, x64):
    before, after = minima
    inner = paths.Langevin(energy=LJ4, hessian=hessians.SymmetryProjected())
    path = paths.AtMinimum(inner, tolerance=1e-9)
    anchor, expected = path.anchor(before[0]), inner.anchor(after[0])
    np.testing.assert_allclose(anchor.centre, expected.centre, atol=1e-8)
    assert anchor.variance is not None
    assert expected.variance is not None
    np.testing.assert_allclose(anchor.variance, expected.variance, rtol=1e-5)
    assert jnp.abs(anchor.centre - before[0]).max() > 0.1
    # Three rotations, last: flat, but a straight step along them leaves the orbit.
    np.testing.assert_allclose(anchor.variance[-3:], anchor.variance[:-3].min())


def test_at_minimum_obeys_the_laws_of_paths(x64):
    table = {"name": "langevin", "curvature": spectral.Absolute(2.0)}
    energy = energies.LennardJones(4, 3)  # Made here, of double precision.
    path = paths.AtMinimum(table, energy=energy, prior_scale=1.5, tolerance=1e-9)
    check_path(path, prior=priors.CentredNormal(4, 3, scale=1.5))


def test_at_minimum_needs_a_path_with_an_energy():
    with pytest.raises(ValueError, match="`inner` must be a path with an energy"):
        paths.AtMinimum("optimal-transport")


def test_a_search_that_is_cut_short_returns_its_last_point(x64):
    energy = energies.Ring()
    x = jnp.array([3.0, 1.0])
    assert jnp.isfinite(quench(energy, x, steps=1)).all()


@pytest.mark.parametrize("shift", [1.0, 1e4])
@pytest.mark.parametrize(
    "energy", [LJ4, energies.DoubleWellParticles.preset("dw4")], ids=["lj4", "dw4"]
)
def test_the_origin_does_not_matter(energy, shift, x64):
    x = points(energy, 6, 1.5)
    search = jax.jit(jax.vmap(lambda y: quench(energy, y)))
    np.testing.assert_allclose(search(x + shift) - shift, search(x), atol=1e-5)


def test_the_origin_does_not_matter_in_single_precision():
    # Halves and quarters, so that the shift itself rounds nothing.
    x = jnp.round(4 * points(LJ4, 6, 1.5)) / 4
    search = jax.jit(jax.vmap(lambda y: quench(LJ4, y)))
    here, there = search(x), search(x + 2048.0) - 2048.0
    np.testing.assert_allclose(there, here, atol=2e-4)
    np.testing.assert_allclose(jax.vmap(LJ4)(here), jax.vmap(LJ4)(search(x + 2.0)), rtol=1e-5)


def test_without_translations_the_origin_matters_no_more_than_rounding():
    scales = jnp.array([1.0, 30.0, 4.0])
    for centre in (500.0, 1e5):
        energy = energies.Gaussian(jnp.full(3, centre), scales)
        found = jax.jit(jax.vmap(lambda x, e=energy: quench(e, x)))(centre + points(energy, 5))
        np.testing.assert_allclose(found, centre, rtol=1e-6, atol=1e-4)


def test_an_offset_of_the_energy_changes_nothing():
    ring = energies.Ring()
    raised = energies.FunctionEnergy(lambda x: ring(x) + 1_000.0, shape=(2,))
    x = points(ring, 8, 1.5)
    a, b = (jax.jit(jax.vmap(lambda y, e=e: quench(e, y)))(x) for e in (ring, raised))
    np.testing.assert_allclose(a, b, atol=5e-3)


def test_searches_that_wait_for_a_lane_end_where_they_would_alone(monkeypatch, x64):
    x = points(LJ4, 7)
    search = jax.jit(lambda y: quench(LJ4, y))
    alone = jnp.stack([search(y) for y in x])
    monkeypatch.setattr(_lanes, "LANES", 3)
    together = jax.jit(jax.vmap(lambda y: quench(LJ4, y)))(x)
    np.testing.assert_allclose(together, alone, atol=1e-7)
    nested = jax.jit(jax.vmap(jax.vmap(search)))(x[:6].reshape(2, 3, 4, 3))
    np.testing.assert_allclose(nested.reshape(6, 4, 3), alone[:6], atol=1e-7)


def test_energies_that_differ_from_point_to_point_are_quenched_together(x64):
    means = jnp.arange(3.0)

    def of_leaves(mean):
        return quench(energies.Gaussian(jnp.full(3, mean), jnp.ones(3)), jnp.ones(3))

    def of_closures(mean):
        return quench(energies.FunctionEnergy(lambda x: ((x - mean) ** 2).sum(), (3,)), jnp.ones(3))

    expected = jnp.tile(means[:, None], (1, 3))
    np.testing.assert_allclose(jax.jit(jax.vmap(of_leaves))(means), expected, atol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(of_closures))(means), expected, atol=1e-6)


def test_particles_end_in_the_basin_of_steepest_descent(x64):
    # From near a saddle of two wells, a long step would leap over the nearer one.
    energy = energies.FunctionEnergy(lambda x: 1e3 * (1 - jnp.cos(x)).sum(), (1,))
    x = jnp.linspace(-3.0, 3.0, 13)[:, None]
    np.testing.assert_allclose(jax.jit(jax.vmap(lambda y: quench(energy, y)))(x), 0.0, atol=1e-4)


def test_minima_have_no_gradient_with_respect_to_what_they_are_of():
    def summed(mean):
        return quench(energies.Gaussian(mean, jnp.ones(3)), jnp.zeros(3)).sum()

    np.testing.assert_array_equal(jax.jit(jax.grad(summed))(jnp.ones(3)), 0.0)


def test_a_point_without_a_finite_energy_ends_the_search():
    energy = energies.FunctionEnergy(lambda x: jnp.log(x).sum() + (x**2).sum(), (2,))
    found = jax.jit(jax.vmap(lambda x: quench(energy, x)))(jnp.array([[-1.0, 1.0], [jnp.nan, 1.0]]))
    assert found.shape == (2, 2)


def test_a_gradient_that_is_not_finite_is_no_minimum():
    def energy(x):
        return jnp.sum((jnp.linalg.norm(x[:, None] - x[None, :], axis=-1) - 1) ** 2)

    points = jax.random.normal(jax.random.key(0), (2, 3, 2))
    broken = FunctionEnergy(energy, shape=(3, 2))
    with pytest.raises(RuntimeError, match=r"gradient of FunctionEnergy isn't finite.*i = j"):
        jax.block_until_ready(jax.jit(jax.vmap(lambda x: quench(broken, x)))(points))
