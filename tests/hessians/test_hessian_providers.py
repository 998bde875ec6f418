"""Providers agree with each other, on one point and on batches."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import energies, hessians
from hiflow.testing import relaxed_points

ENERGIES = {
    "double-well": energies.DoubleWell,
    "dw4": lambda: energies.DoubleWellParticles.preset("dw4"),
    "gaussian": lambda: energies.Gaussian(np.ones(2), np.array([[2.0, 0.5], [0.5, 1.0]])),
    "mixture": lambda: energies.GaussianMixture(np.array([[-1.0, 0.0], [1.0, 0.5]]), 3.0),
    "lj13": lambda: energies.LennardJones.preset("lj13"),
    "ring": energies.Ring,
    "muller-brown": energies.MullerBrown,
}


@eqx.filter_jit
def matrices(provider, energy, points):
    return jax.vmap(lambda x: provider(energy, x).as_matrix())(points)


def assert_dense_is_analytic(energy, n, rtol):
    points = relaxed_points(energy, jax.random.key(1), n)
    expected = matrices(hessians.Analytic(), energy, points)
    reached = matrices(hessians.Dense(), energy, points)
    np.testing.assert_allclose(reached, expected, atol=rtol * jnp.abs(expected).max())


@pytest.mark.parametrize("name", ENERGIES)
def test_dense_is_analytic(name, x64):
    energy = ENERGIES[name]()
    assert isinstance(energy, energies.SupportsHessian)
    assert_dense_is_analytic(energy, 3, 1e-12)


def test_dense_is_analytic_on_batches_in_single_precision():
    assert_dense_is_analytic(ENERGIES["lj13"](), 64, 1e-5)


def test_diagonal_is_the_diagonal_of_dense(x64):
    energy, x = ENERGIES["mixture"](), jnp.asarray([0.3, -0.2])
    diagonal = hessians.Diagonal().spectrum(energy, x).eigenvalues
    expected = jnp.diagonal(hessians.Dense()(energy, x).as_matrix())
    np.testing.assert_allclose(diagonal, expected, rtol=1e-12)


def test_spectrum_is_data_to_gradients(x64):
    energy = energies.Gaussian(jnp.zeros(3), 2.0)
    spectrum = lambda x: hessians.Dense().spectrum(energy, x).apply(jnp.sqrt, x)  # noqa: E731
    slope = jax.jacfwd(spectrum)(jnp.ones(3))
    np.testing.assert_allclose(slope, np.sqrt(2) * np.eye(3), atol=1e-12)


def test_analytic_needs_a_closed_form():
    energy = energies.FunctionEnergy(lambda x: (x**4).sum(), shape=(2,))
    with pytest.raises(ValueError, match=r"FunctionEnergy has none. Use hiflow.hessians.Dense"):
        hessians.Analytic()(energy, jnp.ones(2))


def test_diagonal_refuses_an_energy_with_a_symmetry():
    with pytest.raises(ValueError, match=r"not equivariant .* Ring"):
        hessians.Diagonal().spectrum(energies.Ring(), jnp.ones(2))
