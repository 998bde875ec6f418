"""Gauss–Newton: exact for linear residuals, semi-definite always, and what it leaves out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import energies, groups, hessians
from hiflow.testing import check_hessian

pytestmark = pytest.mark.usefixtures("x64")
POINT = np.array([0.7, -0.4, 1.1])


class LeastSquares(energies.AbstractEnergy):
    """Residuals Ax + c·(x₀x₁, x₂²) - b."""

    A: jax.Array
    curvature: float
    event_shape = (3,)
    group = groups.Trivial()

    def residuals(self, x):
        curved = jnp.array([x[0] * x[1], x[2] ** 2])
        return self.A @ x - 0.3 + self.curvature * jnp.resize(curved, self.A.shape[:1])

    def __call__(self, x):
        return jnp.sum(self.residuals(x) ** 2) / 2


def make(rows, curvature):
    return LeastSquares(jax.random.normal(jax.random.key(rows), (rows, 3)), curvature)


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_it_is_exact_for_linear_residuals(rows):
    energy = make(rows, 0.0)
    check_hessian(hessians.GaussNewton(), energy)
    spectrum = hessians.GaussNewton().spectrum(energy, jnp.asarray(POINT))
    assert spectrum.modes.has_rest == (rows < 3)
    reached = jax.vmap(lambda v: spectrum.apply(lambda k: k, v))(jnp.eye(3))
    np.testing.assert_allclose(reached, jax.hessian(energy)(jnp.asarray(POINT)), atol=1e-12)


@pytest.mark.parametrize("rows", [2, 5])
def test_it_leaves_out_the_residuals_own_curvature(rows):
    energy = make(rows, 0.7)
    x = jnp.asarray(POINT)
    operator = hessians.GaussNewton()(energy, x).as_matrix()
    assert jnp.linalg.eigvalsh(operator).min() > -1e-12
    left_out = jnp.tensordot(energy.residuals(x), jax.hessian(energy.residuals)(x), axes=1)
    np.testing.assert_allclose(
        operator + left_out, jax.hessian(energy)(jnp.asarray(POINT)), atol=1e-12
    )
    check_hessian(hessians.GaussNewton(), energy, exact=False)


class Springs(energies.AbstractEnergy):
    """Particles on a line, the first of them tied to the next: invariant under translations."""

    particles: int
    springs: int
    group = groups.Translation()

    @property
    def event_shape(self):
        return (self.particles, 1)

    def residuals(self, x):
        return jnp.sinh(x[1:, 0] - x[:-1, 0])[: self.springs]

    def __call__(self, x):
        return jnp.sum(self.residuals(x) ** 2) / 2


@pytest.mark.parametrize("springs", [2, 3])
def test_null_modes_are_left_out(springs):
    energy = Springs(4, springs)
    check_hessian(hessians.GaussNewton(), energy, exact=False)
    spectrum = hessians.GaussNewton().spectrum(energy, jnp.linspace(0.0, 2.0, 4)[:, None])
    assert spectrum.modes.size == 3
    assert spectrum.eigenvalues[:springs].min() > 0.1
    assert spectrum.modes.has_rest == (springs < 3)


class Wide(energies.AbstractEnergy):
    """Two residuals of many coordinates."""

    event_shape = (501,)
    group = groups.Trivial()

    def residuals(self, x):
        return jnp.array([jnp.sum(x**2), x[0] * x[1]])

    def __call__(self, x):
        return jnp.sum(self.residuals(x) ** 2) / 2


def test_few_residuals_cost_no_square_matrix():
    steps = jax.make_jaxpr(lambda x: hessians.GaussNewton().spectrum(Wide(), x))(jnp.ones(501))
    assert "[2,501]" in str(steps)
    assert "[501,501]" not in str(steps)


def test_an_energy_without_residuals_is_refused():
    with pytest.raises(ValueError, match="method `residuals"):
        hessians.GaussNewton()(energies.DoubleWell(), jnp.zeros(2))
