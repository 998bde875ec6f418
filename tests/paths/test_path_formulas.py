"""Every path's mean and covariance against their formulas, written in NumPy, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import energies, hessians, paths, spectral, times

X1 = np.array([1.3, -0.4, 0.7])
TIMES = (0.0, 1e-3, 0.25, 0.6, 0.95)


def _vp(t, beta_min, beta_max, cutoff):
    s = cutoff + (1 - cutoff) * (1 - t)
    return np.exp(-(s * beta_min + s**2 * (beta_max - beta_min) / 2) / 2)


# Name: the path, the weight of x₁ in the mean, the standard deviation.
ISOTROPIC = {
    "optimal transport": (
        lambda: paths.OptimalTransport(),
        lambda t: t,
        lambda t: 1 - t,
    ),
    "optimal transport, sigma_min": (
        lambda: paths.OptimalTransport(sigma_min=0.1, prior_scale=2.0),
        lambda t: t,
        lambda t: 2.0 * (1 - (1 - 0.1) * t),
    ),
    "stable": (
        lambda: paths.Stable(rate=3.0, time="log", prior_scale=0.5),
        lambda t: 1 - (1 - t) ** 3,
        lambda t: 0.5 * (1 - t) ** 3,
    ),
    "stable in physical time": (
        lambda: paths.Stable(rate=0.4, time=times.LinearTime(cutoff=0.01)),
        lambda t: 1 - np.exp(0.4 * t * np.log(0.01)),
        lambda t: np.exp(0.4 * t * np.log(0.01)),
    ),
    "variance-preserving": (
        lambda: paths.VariancePreserving(),
        lambda t: _vp(t, 0.1, 20.0, 1e-5),
        lambda t: np.sqrt(1 - _vp(t, 0.1, 20.0, 1e-5) ** 2),
    ),
    "variance-preserving, other betas": (
        lambda: paths.VariancePreserving(beta_min=0.5, beta_max=8.0, cutoff=1e-2, prior_scale=3.0),
        lambda t: _vp(t, 0.5, 8.0, 1e-2),
        lambda t: 3.0 * np.sqrt(1 - _vp(t, 0.5, 8.0, 1e-2) ** 2),
    ),
    "variance-exploding": (
        lambda: paths.VarianceExploding(),
        lambda t: 1.0,
        lambda t: 50.0 ** (1 - t) * 0.01**t,
    ),
    "variance-exploding to 0.3": (
        lambda: paths.VarianceExploding(sigma_min=0.3, prior_scale=7.0),
        lambda t: 1.0,
        lambda t: 7.0 ** (1 - t) * 0.3**t,
    ),
    "cosine": (
        lambda: paths.Cosine(prior_scale=1.5),
        lambda t: np.sin(np.pi * t / 2),
        lambda t: 1.5 * np.cos(np.pi * t / 2),
    ),
}


@pytest.mark.parametrize("name", ISOTROPIC)
def test_an_isotropic_path_is_its_formula(name, x64):
    make, weight, scale = ISOTROPIC[name]
    path = make()
    s0 = float(path.prior_scale)

    def formula(x0, t):
        return weight(t) * X1 + scale(t) * x0 / s0

    _check(path, formula, lambda t: weight(t) * X1, lambda t: scale(t) ** 2 * np.eye(3))


# An energy with a full Hessian, of both signs, and a gradient at x₁.
A = np.array([[4.0, 1.0, -0.5], [1.0, -3.0, 0.8], [-0.5, 0.8, 0.4]])
S0 = 1.7


def _energy():
    matrix = jnp.asarray(A)
    return energies.FunctionEnergy(lambda x: x @ matrix @ x / 2 + jnp.sum(x**4), (3,))


GRADIENT = A @ X1 + 4 * X1**3
EIGENVALUES, Q = np.linalg.eigh(A + 12 * np.diag(X1**2))


def _of_hessian(function):
    return Q @ np.diag(function(EIGENVALUES)) @ Q.T


def _decay(rates, tau):
    return lambda t: _of_hessian(lambda x: np.exp(-rates(x) * tau(t)))


def _tau(t):
    return -np.log(1 - t)


C = _of_hessian(lambda x: 1 / (abs(x) + 2))
COMMON = {"hessian": hessians.Dense(), "prior_scale": S0}

# Name: the path, its centre, Φ_t and the end law's covariance.
SPECTRAL = {
    "linearised": (
        lambda: paths.Linearised(_energy(), rates=spectral.Saturating(2.0, 3.0), **COMMON),
        X1,
        _decay(lambda x: 1 + 2 * np.maximum(x, 0) / (np.maximum(x, 0) + 3), _tau),
        0 * C,
    ),
    "linearised, cosine time": (
        lambda: paths.Linearised(_energy(), rates="power", time="cosine", **COMMON),
        X1,
        _decay(lambda x: np.sqrt(np.maximum(abs(x), 1)), lambda t: -np.log(np.cos(np.pi * t / 2))),
        0 * C,
    ),
    "langevin, Newton's mobility": (
        lambda: paths.Langevin(_energy(), curvature=spectral.Absolute(2.0), beta=3.0, **COMMON),
        X1,
        _decay(lambda x: 1 + 0 * x, _tau),
        C / 3,
    ),
    "langevin, physical mobility": (
        lambda: paths.Langevin(
            _energy(), curvature=spectral.Absolute(2.0), rates=spectral.Absolute(2.0), **COMMON
        ),
        X1,
        _decay(lambda x: abs(x) + 2, _tau),
        C,
    ),
    "relaxed": (
        lambda: paths.Relaxed(_energy(), curvature=spectral.Absolute(2.0), **COMMON),
        X1 - 0.5 * C @ GRADIENT,
        _decay(lambda x: 1 + 0 * x, _tau),
        0.75 * C,
    ),
    "relaxed, s = 0.2": (
        lambda: paths.Relaxed(
            _energy(), curvature=spectral.Absolute(2.0), step=0.2, rates="absolute", **COMMON
        ),
        X1 - 0.2 * C @ GRADIENT,
        _decay(lambda x: abs(x) + 1, _tau),
        0.2 * 1.8 * C,
    ),
}


@pytest.mark.parametrize("name", SPECTRAL)
def test_a_spectral_path_is_its_formula(name, x64):
    make, centre, decay, end = SPECTRAL[name]

    def mean(t):
        return centre - decay(t) @ centre

    def covariance(t):
        phi = decay(t)
        return end + phi @ (S0**2 * np.eye(3) - end) @ phi

    def formula(x0, t):
        # The square root that is symmetric, diagonal in the Hessian's basis.
        variances, vectors = np.linalg.eigh(covariance(t))
        return mean(t) + vectors @ np.diag(np.sqrt(abs(variances))) @ vectors.T @ x0 / S0

    _check(make(), formula, mean, covariance)


def test_noise_of_its_own_adds_what_is_gained_of_the_end_law(x64):
    """x_t = y + Φ(x₀ − y) with y of the end law: the covariance is Φs₀²Φ + (1 − Φ)C(1 − Φ)."""
    path = paths.Langevin(
        _energy(), curvature=spectral.Absolute(2.0), rates="power", noise="own", **COMMON
    )
    decay = _decay(lambda x: np.sqrt(np.maximum(abs(x), 1)), _tau)

    def mean(t):
        return X1 - decay(t) @ X1

    def covariance(t):
        phi, rest = decay(t), np.eye(3) - decay(t)
        return S0**2 * phi @ phi + rest @ C @ rest

    def formula(x0, t):
        variances, vectors = np.linalg.eigh(covariance(t))
        return mean(t) + vectors @ np.diag(np.sqrt(abs(variances))) @ vectors.T @ x0 / S0

    _check(path, formula, mean, covariance)


def test_at_minimum_is_the_inner_path_at_the_minimum(x64):
    well = energies.Gaussian(jnp.asarray(X1), jnp.array([2.0, 5.0, 9.0]))
    path = paths.AtMinimum(paths.Langevin(well, curvature=spectral.Absolute(1.0), beta=2.0))
    anchor, end = path.anchor(jnp.asarray(X1 + 0.8)), jnp.asarray(1.0)
    np.testing.assert_allclose(path.mean(anchor, end), X1, atol=1e-3)
    found = path.log_prob(jnp.asarray(X1), anchor, end)
    precision = 2 * (np.array([2.0, 5.0, 9.0]) + 1)
    np.testing.assert_allclose(found, np.sum(np.log(precision / 2 / np.pi)) / 2, atol=1e-4)


def test_a_displacement_is_a_straight_line_to_the_end_law(x64):
    precision = np.array([2.0, 5.0, 9.0])
    well = energies.Gaussian(jnp.zeros(3), precision)
    inner = paths.Langevin(well, curvature=spectral.Power(1.0, 1e-6), beta=2.0, prior_scale=1.5)
    scale = 1 / np.sqrt(2 * precision)
    _check(
        paths.Displacement(inner),
        lambda x0, t: (1 - t) * x0 + t * (X1 + scale * x0 / 1.5),
        lambda t: t * X1,
        lambda t: np.diag(((1 - t) * 1.5 + t * scale) ** 2),
    )
    own = paths.Langevin(well, noise="own")
    anchor, t = own.anchor(jnp.asarray(X1)), jnp.asarray(0.3)
    assert jnp.array_equal(
        paths.Displacement(own).schedule(t, anchor)[1], own.schedule(t, anchor)[1]
    )
    with pytest.raises(ValueError, match="must be a path with an energy"):
        paths.Displacement("optimal-transport")


def _check(path, formula, mean, covariance):
    """Flow, velocity, mean and density of a path, against x_t of x₀ and t, mean and covariance."""
    random = np.random.default_rng(0)
    x0, x = random.normal(size=3), random.normal(size=3)
    methods = jax.jit(
        lambda t: (
            path.flow_and_velocity(jnp.asarray(x0), anchor, t),
            path.mean(anchor, t),
            path.log_prob(jnp.asarray(x), anchor, t),
        )
    )
    anchor = path.anchor(jnp.asarray(X1))
    for t in TIMES:
        (flowed, velocity), found_mean, density = methods(jnp.asarray(t))
        np.testing.assert_allclose(flowed, formula(x0, t), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found_mean, mean(t), rtol=1e-6, atol=1e-9)
        S, z = covariance(t), x - mean(t)
        expected = -z @ np.linalg.solve(S, z) / 2 - np.linalg.slogdet(2 * np.pi * S)[1] / 2
        np.testing.assert_allclose(density, expected, rtol=1e-5)
        if t > 0:
            change = (formula(x0, t + 1e-6) - formula(x0, t - 1e-6)) / 2e-6
            np.testing.assert_allclose(velocity, change, rtol=1e-5, atol=1e-6)
    end = path.flow(jnp.asarray(x0), anchor, jnp.asarray(1.0))
    np.testing.assert_allclose(end, formula(x0, 1 - 1e-13), rtol=1e-6, atol=1e-6)
