"""Lanczos against dense eigenpairs, and what it says of the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiflow import energies, hessians
from hiflow.testing import check_hessian


def quadratic(eigenvalues, seed=0):
    """An energy with these eigenvalues in a random basis; indefinite ones too."""
    n = len(eigenvalues)
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    H = jnp.asarray((Q * np.asarray(eigenvalues)) @ Q.T)
    return energies.FunctionEnergy(lambda x: x @ H @ x / 2, shape=(n,)), H


@settings(max_examples=10)
@given(seed=st.integers(0, 999), k=st.integers(1, 6))
def test_the_outermost_pairs_are_those_of_the_matrix(seed, k):
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        eigenvalues = np.sort(rng.normal(size=24) * 10 ** rng.uniform(0, 3, size=24))
        energy, H = quadratic(eigenvalues, seed)
        found = hessians.Lanczos(k=k, iterations=24).spectrum(energy, jnp.zeros(24))
        values, scale = np.sort(found.eigenvalues[:k]), np.abs(eigenvalues).max()
        splits = [np.r_[eigenvalues[:low], eigenvalues[24 - k + low :]] for low in range(k + 1)]
        low = int(np.argmin([np.abs(split - values).max() for split in splits]))
        np.testing.assert_allclose(values, splits[low], rtol=1e-8, atol=1e-10 * scale)
        # With all iterations the quadrature's nodes are all eigenvalues, so the rest lies among them.
        others = eigenvalues[low : 24 - k + low]
        assert others[0] - 1e-8 * scale <= found.eigenvalues[k] <= others[-1] + 1e-8 * scale
        Q = found.modes.vectors
        assert Q is not None
        np.testing.assert_allclose(H @ Q, Q * found.eigenvalues[:k], atol=1e-6 * scale)


def test_few_iterations_suffice_for_separated_modes(x64):
    eigenvalues = np.concatenate([np.linspace(0.5, 2, 96), [50.0, 120.0, -80.0, 400.0]])
    energy, _ = quadratic(eigenvalues)
    found = hessians.Lanczos(k=4, iterations=16).spectrum(energy, jnp.zeros(100))
    np.testing.assert_allclose(np.sort(found.eigenvalues[:4]), [-80, 50, 120, 400], rtol=1e-6)
    np.testing.assert_allclose(found.eigenvalues[4], 1.25, rtol=0.15)
    assert found.modes.size == 100


def test_soft_modes_below_a_stiff_bulk_are_found(x64):
    eigenvalues = np.concatenate([[0.1, 0.5, 2.0, 4.0], np.linspace(90, 110, 96)])
    energy, _ = quadratic(eigenvalues)
    found = hessians.Lanczos(k=4, iterations=24).spectrum(energy, jnp.zeros(100))
    np.testing.assert_allclose(np.sort(found.eigenvalues[:4]), [0.1, 0.5, 2, 4], rtol=1e-6)
    np.testing.assert_allclose(found.eigenvalues[4], 100, rtol=0.05)


def test_repeated_eigenvalues_exhaust_the_krylov_space_and_do_no_harm(x64):
    energy, _ = quadratic([3.0] * 6 + [7.0] * 4)
    found = hessians.Lanczos(k=10).spectrum(energy, jnp.zeros(10))
    np.testing.assert_allclose(np.sort(found.eigenvalues), [3.0] * 6 + [7.0] * 4, rtol=1e-8)
    Q = found.modes.vectors
    assert Q is not None
    np.testing.assert_allclose(Q.T @ Q, np.eye(10), atol=1e-10)


@pytest.mark.parametrize(
    ("eigenvalues", "kept", "rest"),
    [
        ([3.0] * 96 + [0.1, 10.0, 50.0, 70.0], [0.1, 10, 50, 70], 3.0),
        ([3.0] * 96 + [50.0] * 4, [50] * 4, 3.0),
        ([3.0] * 100, [3] * 4, 3.0),
    ],
)
def test_the_rest_may_be_one_repeated_eigenvalue(x64, eigenvalues, kept, rest):
    energy, _ = quadratic(eigenvalues)
    found = hessians.Lanczos(k=4).spectrum(energy, jnp.zeros(100))
    np.testing.assert_allclose(np.sort(found.eigenvalues[:4]), kept, rtol=1e-6)
    np.testing.assert_allclose(found.eigenvalues[4], rest, rtol=1e-6)


def test_copies_of_a_repeated_eigenvalue_that_arent_kept_count_as_rest(x64):
    energy, _ = quadratic([3.0] * 60 + [7.0] * 40)
    found = hessians.Lanczos(k=4).spectrum(energy, jnp.zeros(100))
    assert 3.5 < found.eigenvalues[4] < 5.5  # exact: 4.5


def test_lanczos_obeys_the_laws_of_providers(x64):
    check_hessian(hessians.Lanczos(k=2), energies.DoubleWell())
    energy, _ = quadratic(np.linspace(-3, 40, 20))
    check_hessian(hessians.Lanczos(k=3, iterations=20), energy)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: hessians.Lanczos(k=0), "`k` must be at least 1"),
        (lambda: hessians.Lanczos(k=5, iterations=5), "more than k = 5, .*; got 5"),
        (
            lambda: hessians.Lanczos().spectrum(energies.LennardJones(4, 2), jnp.ones((4, 2))),
            "not equivariant under",
        ),
    ],
)
def test_what_it_cant_do_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
