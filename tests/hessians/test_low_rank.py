"""The low-rank provider against the whole matrix, and the estimate of a diagonal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiflow import energies, hessians


class Dyads(energies.AbstractEnergy):
    """A quadratic energy with the Hessian ρI + F diag(v) Fᵀ."""

    factors: jax.Array
    values: jax.Array
    rest: jax.Array
    group = energies.FittedGaussian.example().group

    @property
    def event_shape(self):
        return (self.factors.shape[0],)

    def __call__(self, x):
        along = self.factors.T @ x
        return (self.rest * x @ x + jnp.sum(self.values * along**2)) / 2

    def low_rank_hessian(self, x):
        return self.factors, self.values, self.rest


def matrix(spectrum, dim):
    return jax.vmap(lambda v: spectrum.apply(lambda k: k, v))(jnp.eye(dim))


@settings(max_examples=6)
@given(
    seed=st.integers(0, 999),
    dim=st.integers(1, 6),
    m=st.integers(1, 8),
    dependent=st.booleans(),
)
def test_all_pairs_make_the_matrix(seed, dim, m, dependent):
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        F = rng.normal(size=(dim, m)) * 10 ** rng.uniform(-2, 2, size=m)
        F[:, m // 2] = F[:, 0] if dependent else 0
        energy = Dyads(jnp.asarray(F), jnp.asarray(rng.normal(size=m)), jnp.asarray(1.7))
        H = jax.hessian(energy)(jnp.zeros(dim))
        found = hessians.LowRank(k=8).spectrum(energy, jnp.zeros(dim))
        scale = float(jnp.abs(H).max())
        np.testing.assert_allclose(matrix(found, dim), H, atol=1e-10 * scale)
        operator = hessians.LowRank()(energy, jnp.zeros(dim))
        np.testing.assert_allclose(operator.as_matrix(), H, atol=1e-12 * scale)
        Q = found.modes.vectors
        assert Q is not None
        np.testing.assert_allclose(Q.T @ Q, np.eye(Q.shape[1]), atol=1e-10)
        assert found.modes.has_rest == (m < dim)
        assert found.modes.size == dim


def test_what_is_dropped_comes_closest_to_the_rest(x64):
    Q = np.linalg.qr(np.random.default_rng(0).normal(size=(7, 7)))[0]
    added = jnp.array([-5.0, 0.1, 3.0, -0.2, 40.0])
    energy = Dyads(jnp.asarray(Q[:, :5]), added, jnp.asarray(2.0))
    found = hessians.LowRank(k=3).spectrum(energy, jnp.zeros(7))
    np.testing.assert_allclose(np.sort(found.eigenvalues[:3]), [-3, 5, 42], rtol=1e-10)
    np.testing.assert_allclose(found.eigenvalues[3], 2.0)


@pytest.mark.parametrize("cls", [energies.FittedGaussian, energies.FittedMixture])
def test_it_agrees_with_dense(cls, x64):
    energy, x = cls.example(), jnp.array([0.4, -0.2, 0.1])
    low, full = (h.spectrum(energy, x) for h in (hessians.LowRank(), hessians.Dense()))
    np.testing.assert_allclose(low.apply(jnp.arctan, x), full.apply(jnp.arctan, x), atol=1e-12)


def test_no_matrix_of_the_dimension_squared_is_formed():
    dim = 300
    energy = energies.FittedMixture.blank((dim,), components=2, rank=3)
    traced = jax.make_jaxpr(lambda x: hessians.LowRank(k=4).spectrum(energy, x))(jnp.zeros(dim))
    assert f"{dim},{dim}]" not in str(traced)


def test_the_estimated_diagonal_is_exact_for_a_diagonal_and_converges(x64):
    diagonal = energies.Gaussian(jnp.zeros(4), [1.0, 2.0, 30.0, 0.1])
    found = hessians.EstimatedDiagonal(probes=1).spectrum(diagonal, jnp.ones(4))
    np.testing.assert_allclose(found.eigenvalues, [1.0, 2.0, 30.0, 0.1], rtol=1e-12)
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6))
    energy = energies.Gaussian(jnp.zeros(6), A @ A.T + np.eye(6))
    H = np.asarray(energy.hessian(jnp.zeros(6)))
    spread = np.sqrt((H**2).sum(1) - np.diag(H) ** 2)
    for probes in (4, 400):
        found = hessians.EstimatedDiagonal(probes).spectrum(energy, jnp.zeros(6))
        error = np.abs(found.eigenvalues - np.diag(H)) / spread
        assert error.max() < 4 / np.sqrt(probes)


LJ, PAIRS = energies.LennardJones(4, 2), jnp.ones((4, 2))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: hessians.LowRank(k=0), "`k` must be at least 1"),
        (lambda: hessians.EstimatedDiagonal(0), "`probes` must be at least 1"),
        (
            lambda: hessians.LowRank().spectrum(energies.DoubleWell(), jnp.ones(2)),
            "needs an energy with a method `low_rank_hessian",
        ),
        (lambda: hessians.LowRank().spectrum(LJ, PAIRS), "not equivariant under"),
        (lambda: hessians.EstimatedDiagonal().spectrum(LJ, PAIRS), "not equivariant under"),
    ],
)
def test_what_it_cant_do_is_refused(run, message):
    with pytest.raises(ValueError, match=message):
        run()
