"""Every Hessian provider against a matrix written out, in double precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import energies, hessians

RANDOM = np.random.default_rng(0)
A = np.array(
    [[4.0, 1.0, -0.5, 0.2], [1.0, -3.0, 0.8, 0.0], [-0.5, 0.8, 0.4, 1.5], [0.2, 0.0, 1.5, 9.0]]
)
X = np.array([1.3, -0.4, 0.7, -1.1])
H = A + 12 * np.diag(X**2)
J = np.array([[2.0, 1.0, 0.0, 0.5], [0.3, -1.0, 4.0, 0.0]])


class Quartic(energies.AbstractEnergy):
    """xᵀAx/2 + Σx⁴, with its Hessian."""

    event_shape = (4,)
    group = energies.FittedGaussian.example().group

    def __call__(self, x):
        return x @ jnp.asarray(A) @ x / 2 + jnp.sum(x**4)

    def hessian(self, x):
        return jnp.asarray(A) + 12 * jnp.diag(x**2)


class Squares(energies.AbstractEnergy):
    """Half the squares of sin(Jx) − 0.3."""

    event_shape = (4,)
    group = Quartic.group

    def __call__(self, x):
        return jnp.sum(self.residuals(x) ** 2) / 2

    def residuals(self, x):
        return jnp.sin(jnp.asarray(J) @ x) - 0.3


def _matrix(provider, energy, x):
    return np.asarray(eqx.filter_jit(lambda y: provider(energy, y).as_matrix())(jnp.asarray(x)))


def _spectrum(provider, energy, x):
    return eqx.filter_jit(lambda y: provider.spectrum(energy, y))(jnp.asarray(x))


def _spectral(spectrum, function, dim=4):
    """A function of the matrix that a spectrum stands for."""
    return np.asarray(jax.vmap(lambda e: spectrum.apply(function, e))(jnp.eye(dim)))


def _function(matrix, function):
    eigenvalues, Q = np.linalg.eigh(matrix)
    return Q @ np.diag(function(eigenvalues)) @ Q.T


def _blocks(matrix, size):
    return matrix * np.kron(np.eye(4 // size), np.ones((size, size)))


SINES = np.cos(J @ X)[:, None] * J
# Name: the provider, the energy, the matrix that it gives.
PROVIDERS = {
    "dense": (lambda: hessians.Dense(), Quartic, H),
    "analytic": (lambda: hessians.Analytic(), Quartic, H),
    "diagonal": (lambda: hessians.Diagonal(), Quartic, np.diag(np.diag(H))),
    "block-diagonal": (lambda: hessians.BlockDiagonal(2), Quartic, _blocks(H, 2)),
    "one block": (lambda: hessians.BlockDiagonal(4), Quartic, H),
    "gauss-newton": (lambda: hessians.GaussNewton(), Squares, SINES.T @ SINES),
    "lanczos, all pairs": (lambda: hessians.Lanczos(k=4), Quartic, H),
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_its_matrix(name, x64):
    make, energy, expected = PROVIDERS[name]
    np.testing.assert_allclose(_matrix(make(), energy(), X), expected, rtol=1e-6, atol=1e-9)
    spectrum = _spectrum(make(), energy(), X)
    found = _spectral(spectrum, jnp.arctan)
    np.testing.assert_allclose(found, _function(expected, np.arctan), rtol=1e-6, atol=1e-9)
    eigenvalues = np.linalg.eigvalsh(expected)
    total = spectrum.modes.total(spectrum.eigenvalues)
    np.testing.assert_allclose(total, eigenvalues.sum(), rtol=1e-6)


@pytest.mark.parametrize("probes", [1, 3, 16])
def test_an_estimated_diagonal_is_off_by_averaged_signs_of_the_other_entries(probes, x64):
    """Per pair of coordinates, one mean of ±1 multiplies the entry, for both of its rows."""
    B = np.zeros((4, 4))
    B[0, 1] = B[1, 0] = 2.0
    B[2, 3] = B[3, 2] = -0.7
    energy = energies.Gaussian(np.zeros(4), B + np.diag([5.0, 3.0, 2.0, 4.0]))
    found = np.diag(_matrix(hessians.EstimatedDiagonal(probes), energy, X))
    off = (found - [5, 3, 2, 4]) / [2, 2, -0.7, -0.7]
    np.testing.assert_allclose(off[[0, 2]], off[[1, 3]], atol=1e-9)
    counts = (off * probes + probes) / 2
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-6)
    assert np.abs(off).max() <= 1 + 1e-9


def test_low_rank_keeps_what_is_furthest_from_the_rest(x64):
    axes = np.linalg.qr(RANDOM.normal(size=(5, 5)))[0]
    variances = np.array([0.1, 2.0, 0.5])
    energy = energies.FittedGaussian(np.zeros(5), axes[:, :3], variances, 0.4)
    precision = (axes / np.array([0.1, 2.0, 0.5, 0.4, 0.4])) @ axes.T
    np.testing.assert_allclose(
        _matrix(hessians.LowRank(2), energy, np.ones(5)), precision, rtol=1e-6, atol=1e-9
    )
    spectrum = _spectrum(hessians.LowRank(2), energy, np.ones(5))
    # 1/s = 10, ½ and 2, where the rest has 2½: the last is the nearest and is given up.
    kept = (axes / np.array([0.1, 2.0, 0.4, 0.4, 0.4])) @ axes.T
    found = _spectral(spectrum, lambda x: x, dim=5)
    np.testing.assert_allclose(found, kept, rtol=1e-6, atol=1e-9)


MEANS = RANDOM.normal(size=(2, 3)) * 3
AXES = np.array([[[0.6], [0.8], [0.0]], [[0.0], [0.0], [1.0]]])


def _mixture():
    return energies.FittedMixture(
        MEANS, AXES, np.array([[1.5], [0.7]]), np.array([0.3, 0.4]), np.array([1.0, 2.0])
    )


@pytest.mark.parametrize(("component", "variance", "noise"), [(0, 1.5, 0.3), (1, 0.7, 0.4)])
def test_a_shared_basis_is_the_precision_of_the_component(component, variance, noise, x64):
    v = AXES[component]
    precision = v @ v.T / variance + (np.eye(3) - v @ v.T) / noise
    found = _matrix(hessians.SharedBasis(), _mixture(), MEANS[component])
    np.testing.assert_allclose(found, precision, rtol=1e-6, atol=1e-9)


def test_low_rank_of_a_mixture_is_what_the_components_and_their_spread_add_up_to(x64):
    x = MEANS.mean(0) + 0.1
    found = _matrix(hessians.LowRank(), _mixture(), x)
    precisions, joint, gradients = [], [], []
    for v, s, n, m, w in zip(AXES, (1.5, 0.7), (0.3, 0.4), MEANS, (1, 2), strict=True):
        P = v @ v.T / s + (np.eye(3) - v @ v.T) / n
        precisions.append(P)
        gradients.append(P @ (x - m))
        joint.append(w * np.sqrt(np.linalg.det(P)) * np.exp(-(x - m) @ P @ (x - m) / 2))
    r = np.array(joint) / sum(joint)
    g = r @ np.array(gradients)
    expected = -sum(r_k * np.outer(g_k - g, g_k - g) for r_k, g_k in zip(r, gradients, strict=True))
    expected = expected + np.einsum("k,kij->ij", r, np.array(precisions))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_quenched_is_the_hessian_at_the_minimum(x64):
    well = energies.DoubleWell(barrier=3.0, position=1.5, stiffness=10.0)
    found = _matrix(hessians.Quenched(inner="dense"), well, np.array([1.1, 0.4]))
    np.testing.assert_allclose(found, np.diag([8 * 3 / 1.5**2, 10.0]), rtol=1e-3, atol=1e-6)


def test_null_modes_are_zero_and_the_others_are_those_of_the_matrix(x64):
    """Two particles at rest: one stretch, and as many rotations as there are axes across it."""
    pair = energies.LennardJones(2, dim=3, epsilon=2.0, trap=0.0)
    spectrum = _spectrum(hessians.SymmetryProjected(), pair, np.array([[0.5, 0, 0], [-0.5, 0, 0]]))
    # φ″ = 72 ε at the minimum, and the relative coordinate counts twice.
    np.testing.assert_allclose(np.sort(spectrum.eigenvalues), [0, 0, 2 * 72 * 2], atol=1e-6)
    assert spectrum.orbit is not None
    assert int(spectrum.orbit.sum()) == 2
