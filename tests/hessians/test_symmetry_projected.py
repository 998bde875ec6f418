"""Null modes come from the symmetry: exact at the icosahedron of LJ13, absent at thermal points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import energies, hessians, paths, spectral
from hiflow.testing import check_hessian, relaxed_points

LJ13 = energies.LennardJones.preset("lj13")
PROJECTED = hessians.SymmetryProjected()


def icosahedron():
    """The global minimum: twelve vertices around a centre, at the radius where the force vanishes."""
    golden = (1 + 5**0.5) / 2
    corners = [(0, a, b * golden) for a in (1, -1) for b in (1, -1)]
    vertices = [p for c in corners for p in (c, (c[1], c[2], c[0]), (c[2], c[0], c[1]))]
    shape = np.array([*vertices, (0, 0, 0)]) / np.sqrt(1 + golden**2)
    i, j = np.triu_indices(13, 1)
    distances = np.linalg.norm(shape[i] - shape[j], axis=1)

    def slope(radius):
        d = radius * distances
        return np.sum(24 * (d**-7 - d**-13) * distances) + 12 * radius

    low, high = 0.8, 1.2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return jnp.asarray(low * shape)


spectrum_of = jax.jit(lambda x: PROJECTED.spectrum(LJ13, x))


def matrix(spectrum, function):
    """The spectral function over the flattened event."""
    values = spectrum.speeds(function)
    return jax.vmap(lambda v: spectrum.modes.apply(values, v))(jnp.eye(39))


def test_the_icosahedron_has_six_null_modes(x64):
    x = icosahedron()
    gradient, H = jax.jit(lambda x: (jax.grad(LJ13)(x), LJ13.hessian(x)))(x)
    assert jnp.abs(gradient).max() < 1e-9
    eigenvalues = jnp.linalg.eigvalsh(H)
    assert int(jnp.sum(jnp.abs(eigenvalues) < 1e-6)) == 6
    spectrum = spectrum_of(x)
    # Three translations are removed, three rotations are marked.
    assert spectrum.modes.size == 36
    assert int(spectrum.orbit.sum()) == 3
    assert (spectrum.eigenvalues[spectrum.orbit] == 0).all()
    assert jnp.sort(spectrum.eigenvalues)[3] > 100
    marked = spectrum.modes.vectors[:, spectrum.orbit]
    tangents = LJ13.group.tangents(x)
    rest = marked - tangents @ jnp.linalg.lstsq(tangents, marked)[0]
    np.testing.assert_allclose(rest, 0, atol=1e-12)


def test_thermal_points_have_three_null_modes(x64):
    points = relaxed_points(LJ13, jax.random.key(0), 6)
    spectra = jax.vmap(spectrum_of)(points)
    assert not spectra.orbit.any()
    for eigenvalues in jax.jit(lambda x: jnp.linalg.eigvalsh(jax.vmap(LJ13.hessian)(x)))(points):
        assert int(jnp.sum(jnp.abs(eigenvalues) < 1e-8 * jnp.abs(eigenvalues).max())) == 3


def test_null_modes_relax_at_the_rate_of_optimal_transport(x64):
    x = icosahedron()
    rates = spectral.Absolute(shift=30.0)
    path = paths.Linearised(LJ13, hessian="symmetry-projected", rates=rates)
    anchor = eqx.filter_jit(path.anchor)(x)
    assert int(jnp.sum(anchor.speeds == 1.0)) == 3
    assert jnp.sort(anchor.speeds)[3] > 130
    plain = eqx.filter_jit(paths.Linearised(LJ13, hessian="dense", rates=rates).anchor)(x)
    assert jnp.abs(plain.speeds - 30.0).min() < 1e-6


@pytest.mark.parametrize(
    "rates", [spectral.Saturating(), spectral.Shuffled(spectral.Saturating()), spectral.Power()]
)
def test_degenerate_eigenvalues_leave_no_trace_of_their_basis(rates, x64):
    # The icosahedron's levels are up to fivefold, so eigh's basis of them is arbitrary.
    x = icosahedron()
    spectrum = spectrum_of(x)
    A = matrix(spectrum, rates)
    for seed in range(3):
        g = LJ13.group.sample(jax.random.key(seed), x.shape)
        turn = jax.vmap(
            lambda v, g=g: LJ13.group.act((*g[:2], 0 * g[2]), v.reshape(x.shape)).ravel()
        )
        R = turn(jnp.eye(39)).T
        there = matrix(spectrum_of((R @ x.ravel()).reshape(x.shape)), rates)
        np.testing.assert_allclose(there, R @ A @ R.T, atol=1e-7 * float(jnp.abs(A).max()))


def test_rotations_of_a_collinear_molecule_are_counted_once(x64):
    def bond(x):
        return 50 * (jnp.linalg.norm(x[0] - x[1]) - 1) ** 2

    group = energies.LennardJones(2, 3).group
    energy = energies.FunctionEnergy(bond, shape=(2, 3), group=group)
    spectrum = PROJECTED.spectrum(energy, jnp.array([[0, 0, 0.5], [0, 0, -0.5]]))
    np.testing.assert_allclose(spectrum.eigenvalues, [200, 0, 0], atol=1e-9)
    np.testing.assert_array_equal(spectrum.orbit, [False, True, True])


def test_a_soft_mode_that_is_no_rotation_is_left_alone(x64):
    energy = energies.FunctionEnergy(lambda x: x[0] ** 2 / 2 + 0 * x[1], shape=2)
    spectrum = PROJECTED.spectrum(energy, jnp.array([1.0, 0.3]))
    np.testing.assert_allclose(spectrum.eigenvalues, [0, 1], atol=1e-12)
    assert spectrum.orbit is not None
    assert not spectrum.orbit.any()


def test_single_precision_finds_the_same_null_modes():
    spectrum = spectrum_of(icosahedron())
    assert spectrum.eigenvalues.dtype == jnp.float32
    assert int(spectrum.orbit.sum()) == 3


def test_laws_hold_and_the_tolerance_is_checked(x64):
    check_hessian(PROJECTED, LJ13)
    check_hessian(PROJECTED, LJ13, points=icosahedron()[None])
    with pytest.raises(ValueError, match="tolerance"):
        hessians.SymmetryProjected(tolerance=0.0)
