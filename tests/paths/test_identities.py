"""Paths that must coincide, and the closed forms that they must have."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf

KEY = jax.random.key(0)
ENERGIES = {
    "gaussian": lambda: hf.energies.Gaussian(jnp.zeros(3), jnp.diag(jnp.array([1.0, 9.0, 40.0]))),
    "ring": lambda: hf.energies.Ring(),
    "lj13": lambda: hf.energies.LennardJones.preset("lj13"),
}


def case(name):
    """An energy, its prior's sample, a data point: particles far enough apart for a Hessian that can
    be diagonalised to ten digits (largest eigenvalue 1e4)."""
    energy = ENERGIES[name]()
    k0, k1 = jax.random.split(KEY)
    project = energy.group.project
    x0 = project(jax.random.normal(k0, energy.event_shape))
    x1 = project(3.0 * jax.random.normal(k1, energy.event_shape))
    return energy, x0, x1


def same(path, other, x0, x1, *, atol):
    """Flow, both velocities and density of two paths agree at several times."""
    anchor, other_anchor = path.anchor(x1), other.anchor(x1)
    for t in jnp.array([0.0, 0.1, 0.5, 0.9, 0.99]):
        x, u = path.flow_and_velocity(x0, anchor, t)
        y, w = other.flow_and_velocity(x0, other_anchor, t)
        np.testing.assert_allclose(x, y, atol=atol)
        np.testing.assert_allclose(u, w, atol=atol)
        near = x + 0.1 * (1 - t) * x0
        np.testing.assert_allclose(
            path.velocity(near, anchor, t), other.velocity(near, other_anchor, t), atol=100 * atol
        )
        np.testing.assert_allclose(
            path.log_prob(near, anchor, t), other.log_prob(near, other_anchor, t), atol=100 * atol
        )


@pytest.mark.parametrize("path", [hf.paths.Langevin, hf.paths.Relaxed])
def test_an_end_law_far_wider_than_the_prior_still_starts_at_the_prior(path):
    flat = hf.energies.Gaussian(jnp.zeros(2), jnp.diag(jnp.array([1e-9, 1.0])))
    path = path(flat, hessian="analytic", curvature={"name": "absolute", "shift": 1e-9})
    x0, zero = jnp.array([0.5, -0.2]), jnp.zeros(())
    x, u = path.flow_and_velocity(x0, path.anchor(jnp.zeros(2)), zero)
    np.testing.assert_allclose(x, x0, rtol=1e-6)
    assert bool(jnp.isfinite(u).all())


def test_components_can_be_built_of_traced_settings(x64):
    def of(step, power):
        path = hf.paths.Relaxed(ENERGIES["gaussian"](), step=step)
        times, _ = hf.time_samplers.Importance(power)(KEY, 2)
        return path.flow(jnp.ones(3), path.anchor(jnp.ones(3)), times[0])

    np.testing.assert_allclose(jax.jit(of)(0.3, 0.7), of(0.3, 0.7), rtol=1e-9)


@pytest.mark.parametrize("name", sorted(ENERGIES))
def test_unit_rates_in_log_time_are_optimal_transport(x64, name):
    energy, x0, x1 = case(name)
    path = hf.paths.Linearised(energy=energy, rates="constant", time="log")
    same(path, hf.paths.OptimalTransport(group=energy.group), x0, x1, atol=1e-12)


@pytest.mark.parametrize("name", sorted(ENERGIES))
def test_a_stable_path_of_rate_one_is_optimal_transport(x64, name):
    energy, x0, x1 = case(name)
    stable = hf.paths.Stable(rate=1.0, group=energy.group)
    same(stable, hf.paths.OptimalTransport(group=energy.group), x0, x1, atol=1e-12)


@pytest.mark.parametrize("name", sorted(ENERGIES))
def test_a_cold_langevin_path_is_the_deterministic_one(x64, name):
    energy, x0, x1 = case(name)
    rates = hf.spectral.Saturating(kappa=1.0, stiffness=10.0)
    cold = hf.paths.Langevin(energy=energy, rates=rates, beta=1e16)
    same(cold, hf.paths.Linearised(energy=energy, rates=rates), x0, x1, atol=1e-6)


@pytest.mark.parametrize("rates", ["constant", "absolute"], ids=["Newton", "physical"])
def test_langevin_has_the_marginals_of_its_stochastic_dynamics(x64, rates):
    """Mean and covariance solve dm = -A (m - x1) dtau and dS = (-2 A S + 2 M/beta) dtau."""
    energy, _, x1 = case("gaussian")
    beta, curvature = 2.0, hf.spectral.Absolute(shift=1.0)
    path = hf.paths.Langevin(energy=energy, curvature=curvature, rates=rates, beta=beta)
    anchor = path.anchor(x1)
    assert anchor.variance is not None
    a, mobility = anchor.speeds, anchor.speeds * beta * anchor.variance

    def dynamics(tau, state, _):
        mean, variance = state
        return -a * mean, -2 * a * variance + 2 * mobility / beta

    for t in (0.2, 0.6):
        tau = float(path.time.tau(jnp.asarray(t)))
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(dynamics),
            diffrax.Dopri8(),
            0.0,
            tau,
            tau / 200,
            (jnp.ones(3), jnp.ones(3)),
        )
        alpha, sigma = path.schedule(jnp.asarray(t), anchor)
        assert solution.ys is not None
        np.testing.assert_allclose(solution.ys[0][0], alpha, rtol=1e-7)
        np.testing.assert_allclose(solution.ys[1][0], sigma**2, rtol=1e-7)


def test_langevin_velocity_is_drift_less_half_the_noise_times_the_score(x64):
    energy, x0, x1 = case("ring")
    path = hf.paths.Langevin(energy=energy, rates="saturating")
    anchor, t = path.anchor(x1), jnp.asarray(0.4)
    x = path.flow(x0, anchor, t)
    tau_dot = jax.grad(path.time.tau)(t)
    drift = -tau_dot * anchor.modes.apply(anchor.speeds, x - x1)
    diffusion = tau_dot * anchor.speeds * anchor.variance
    expected = drift - anchor.modes.apply(diffusion, path.score(x, anchor, t))
    np.testing.assert_allclose(path.velocity(x, anchor, t), expected, atol=1e-10)


@pytest.mark.parametrize("step", [0.1, 0.5, 1.0])
def test_relaxed_end_law_leaves_a_gaussian_target_alone(x64, step):
    """Averaged over x1 ~ N(0, H^-1): mean 0, covariance H^-1."""
    eigenvalues = jnp.array([1.0, 9.0, 40.0])
    energy = hf.energies.Gaussian(jnp.zeros(3), jnp.diag(eigenvalues))
    exact = hf.spectral.Clamped(floor=1e-6)
    path = hf.paths.Relaxed(energy=energy, curvature=exact, step=step)
    centres = jax.vmap(lambda x1: path.anchor(x1).centre)(jnp.eye(3))
    covariance = centres.T @ jnp.diag(1 / eigenvalues) @ centres
    anchor = path.anchor(jnp.zeros(3))
    variance = anchor.variance
    assert variance is not None
    own = jax.vmap(lambda e: anchor.modes.apply(variance, e))(jnp.eye(3))
    np.testing.assert_allclose(covariance + own, jnp.diag(1 / eigenvalues), atol=1e-12)


@pytest.mark.parametrize("name", ["linearised", "langevin"])
def test_the_conditional_flow_solves_its_own_velocity(x64, name):
    energy, x0, x1 = case("ring")
    path = hf.paths.registry.make(name, energy=energy)
    assert isinstance(path, hf.paths.AbstractGaussianPath)
    anchor = path.anchor(x1)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, x, _: path.velocity(x, anchor, jnp.asarray(t))),
        diffrax.Dopri8(),
        0.0,
        0.9,
        0.01,
        x0,
        stepsize_controller=diffrax.PIDController(1e-10, 1e-10),
    )
    assert solution.ys is not None
    np.testing.assert_allclose(solution.ys[0], path.flow(x0, anchor, jnp.asarray(0.9)), atol=1e-7)


def test_degenerate_eigenvalues_do_not_matter(x64):
    """What a path does depends on H, not on the eigenvectors that happened to be returned."""
    energy = hf.energies.Gaussian(jnp.zeros(4), jnp.diag(jnp.array([5.0, 5.0, 5.0, 1.0])))
    rotation = jax.scipy.linalg.block_diag(
        jnp.linalg.qr(jax.random.normal(KEY, (3, 3)))[0], jnp.eye(1)
    )
    path = hf.paths.Langevin(energy=energy, rates="saturating")
    x0, x1 = jax.random.normal(KEY, (2, 4))
    t = jnp.asarray(0.3)
    turned = path.flow(rotation @ x0, path.anchor(rotation @ x1), t)
    np.testing.assert_allclose(turned, rotation @ path.flow(x0, path.anchor(x1), t), atol=1e-12)


@pytest.mark.parametrize("path", [hf.paths.Linearised, hf.paths.Langevin, hf.paths.Relaxed])
def test_rates_that_may_reach_a_half_are_refused_at_build_time(path):
    energy = hf.energies.Ring()
    slow = hf.spectral.Clamped(floor=0.4)
    with pytest.raises(ValueError, match=r"rates must exceed 1/2 .* 0.4 from Clamped"):
        path(energy=energy, rates=slow)
    path(energy=energy, rates=slow, time=hf.times.LogTime(cutoff=1e-3))
    path(energy=energy, rates=hf.spectral.TraceNormalised(inner=slow))


def test_providers_that_cannot_serve_the_energy_are_refused_at_build_time():
    plain = hf.energies.FunctionEnergy(lambda x: (x**4).sum(), shape=(2,))
    with pytest.raises(ValueError, match="Analytic needs an energy with a closed-form"):
        hf.paths.Linearised(energy=plain, hessian="analytic")
    with pytest.raises(ValueError, match="Diagonal is not equivariant"):
        hf.paths.Linearised(energy=hf.energies.LennardJones.preset("lj13"), hessian="diagonal")


def test_the_density_of_particles_counts_the_free_dimensions_only(x64):
    """Change of variables on the 36-dimensional centred subspace of LJ13."""
    energy, x0, x1 = case("lj13")
    prior = hf.priors.CentredNormal(particles=13, dim=3)
    path = hf.paths.Langevin(energy=energy, hessian="analytic", rates="saturating")
    anchor, t = path.anchor(x1), jnp.asarray(0.4)
    x = path.flow(x0, anchor, t)
    basis = hf.hessians.free_basis(energy, x0)
    assert basis.shape == (39, 36)

    def push(y):
        return basis.T @ path.flow((basis @ y).reshape(13, 3), anchor, t).ravel()

    _, volume = jnp.linalg.slogdet(jax.jacfwd(push)(basis.T @ x0.ravel()))
    np.testing.assert_allclose(path.log_prob(x, anchor, t), prior.log_prob(x0) - volume, rtol=1e-10)


@pytest.mark.parametrize("name", ["gaussian", "ring", "lj13"])
def test_automatic_and_closed_form_hessians_give_the_same_path(x64, name):
    energy, x0, x1 = case(name)
    paths = [
        hf.paths.Langevin(energy=energy, hessian=hessian, rates="saturating")
        for hessian in ("dense", "analytic")
    ]
    moved = [path.flow(x0, path.anchor(x1), jnp.asarray(0.5)) for path in paths]
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-7)
