"""What the method takes from dynamical systems: contraction, a Lyapunov function, linearisation."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiflow import energies, hessians, paths, spectral, times
from hiflow.spectrum import dense

pytestmark = pytest.mark.usefixtures("x64")
POSITIVE = [
    spectral.Absolute(0.7),
    spectral.Clamped(0.6),
    spectral.Saturating(3.0, 20.0),
    spectral.TraceNormalised(),
    spectral.Power(0.4),
]
TRANSFORMS = [times.LogTime(), times.CosineTime(), times.PolynomialTime(3), times.LinearTime()]


def flow_from(seed, stiffness, distance, rates, time):
    """A path, an anchor with a random spectrum, and a start some way off."""
    keys = jax.random.split(jax.random.key(seed), 4)
    eigenvalues = jax.random.normal(keys[0], (4,)) * 10.0**stiffness
    vectors = jax.random.orthogonal(keys[1], 4)
    x1 = jax.random.normal(keys[2], (4,))
    path = paths.Linearised(energies.Gaussian(jnp.zeros(4), 1.0), rates=rates, time=time)
    direction = jax.random.normal(keys[3], (4,))
    x0 = x1 + 10.0**distance * direction / jnp.linalg.norm(direction)
    return path, path.anchor_from(dense(eigenvalues, vectors), x1), x0


def for_any_flow(law):
    """Over spectra from soft to stiff, and starts from 1e-3 to 1e6 away."""
    return given(
        seed=st.integers(0, 2**20),
        stiffness=st.floats(-1, 3),
        distance=st.floats(-3, 6),
        rates=st.sampled_from(POSITIVE),
        time=st.sampled_from(TRANSFORMS),
    )(law)


def trajectory(path, anchor, x0):
    """Offsets from the anchor at increasing times."""
    t = jnp.linspace(0, 1, 33)
    return jax.vmap(lambda s: path.flow(x0, anchor, s))(t) - anchor.centre


@for_any_flow
def test_distance_to_the_anchor_never_grows_in_any_eigendirection(**case):
    path, anchor, x0 = flow_from(**case)
    Q = anchor.modes.vectors
    assert Q is not None
    along = jnp.abs(trajectory(path, anchor, x0) @ Q)
    assert (along[1:] <= along[:-1] + 1e-12 * along[0].max() + 1e-14).all()


@for_any_flow
def test_quadratic_form_of_the_rates_is_a_lyapunov_function(**case):
    path, anchor, x0 = flow_from(**case)
    y, Q = trajectory(path, anchor, x0), anchor.modes.vectors
    assert Q is not None
    V = jnp.sum(anchor.speeds * (y @ Q) ** 2, axis=1) / 2
    seen = V[:-1] > 1e-20 * V[0] + 1e-24
    assert (V[1:] < V[:-1])[seen].all()
    # Radially unbounded: at least a_min |y|²/2, and a_min > 0.
    assert (jnp.min(anchor.speeds) * jnp.sum(y**2, axis=1) / 2 * (1 - 1e-9) <= V).all()
    assert jnp.min(anchor.speeds) > 0


@for_any_flow
def test_anchor_is_reached_at_the_end_from_any_distance(**case):
    path, anchor, x0 = flow_from(**case)
    start = jnp.linalg.norm(x0 - anchor.centre)
    left = jnp.exp(-jnp.min(anchor.speeds) * path.time.tau(jnp.ones(())))
    end = jnp.linalg.norm(trajectory(path, anchor, x0)[-1])
    assert end <= start * left * (1 + 1e-9) + 1e-12


@for_any_flow
def test_mean_of_a_langevin_path_contracts_too(**case):
    linearised, anchor, _ = flow_from(**case)
    path = paths.Langevin(linearised.energy, time=linearised.time)
    spread = jnp.ones_like(anchor.speeds)
    anchor = paths.SpectralAnchor(anchor.centre, anchor.modes, anchor.speeds, spread)
    t = jnp.linspace(0, 1, 33)
    Q = anchor.modes.vectors
    assert Q is not None
    along = jnp.abs((jax.vmap(lambda s: path.mean(anchor, s))(t) - anchor.centre) @ Q)
    assert (along[1:] <= along[:-1] + 1e-12 * along[0].max()).all()


MINIMA = {
    "double-well": (energies.DoubleWell(), jnp.array([1.6, 0.0])),
    "ring": (energies.Ring(width=0.3), jnp.array([1.9, 0.4])),
    "quartic": (
        energies.FunctionEnergy(
            lambda x: x @ x / 2 + 0.3 * x[0] ** 3 + x[0] * x[1] ** 2 / 2 + x[1] ** 4, shape=2
        ),
        jnp.array([0.1, -0.1]),
    ),
    "lj4": (energies.LennardJones(4, 3), None),
}


def minimum(energy, x):
    """By Newton's method with null modes left out."""
    if x is None:
        corners = [[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
        x = jnp.array(corners) / np.sqrt(8)
    flat = lambda y: energy(y.reshape(x.shape))  # noqa: E731
    y = x.ravel()
    for _ in range(60):
        step = jnp.linalg.pinv(jax.hessian(flat)(y), rtol=1e-7) @ jax.grad(flat)(y)
        y = y - step
    assert jnp.abs(jax.grad(flat)(y)).max() < 1e-9
    return y.reshape(x.shape)


@pytest.mark.parametrize("name", MINIMA)
def test_linearisation_agrees_with_the_gradient_flow_to_first_order(name):
    energy, start = MINIMA[name]
    x1 = minimum(energy, start)
    H = hessians.Dense()(energy, x1).as_matrix()
    direction = jax.random.normal(jax.random.key(0), x1.shape)
    direction = energy.group.project(direction) / jnp.linalg.norm(direction)
    tau = 1.0 / jnp.linalg.norm(H, ord=2)

    @jax.jit
    def error(size):
        x0 = x1 + size * direction
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, x, _: -jax.grad(energy)(x)),
            diffrax.Dopri8(),
            0.0,
            tau,
            tau / 20,
            x0,
            stepsize_controller=diffrax.PIDController(1e-12, 1e-14),
        )
        linear = x1 + (jax.scipy.linalg.expm(-H * tau) @ (x0 - x1).ravel()).reshape(x1.shape)
        assert solution.ys is not None
        return jnp.linalg.norm(solution.ys[0] - linear)

    sizes = np.geomspace(1e-3, 1e-2, 4)
    errors = np.array([float(error(size)) for size in sizes])
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert 1.9 < slope < 2.1
