"""All paths × spectral maps × time transforms × layouts of a spectrum: samples, continuity, ODE.

The maps are handled side by side: an anchor holds only the numbers that a map gave, so anchors of
all maps are one batch for the compiled check of one path, transform and layout.
"""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import energies, paths, priors, spectral, spectrum, times

pytestmark = pytest.mark.usefixtures("x64")

ENERGY = energies.Gaussian(jnp.zeros(5), jnp.array([0.5, 1.0, 2.0, 8.0, 30.0]))
SCALE = 1.3
MAPS = {
    "absolute": spectral.Absolute(0.8),
    "clamped": spectral.Clamped(1.0),
    "constant": spectral.Constant(),
    "mean-rate": spectral.MeanRate(),
    "power": spectral.Power(0.3),
    "raised": spectral.Raised(spectral.Absolute(1.0), 0.5),
    "saturating": spectral.Saturating(2.0, 5.0),
    "shifted": spectral.Shifted(5.0, least=-4.0),
    "shuffled": spectral.Shuffled(spectral.Saturating(2.0, 5.0)),
    "trace-normalised": spectral.TraceNormalised(),
}
SPECTRAL = {
    "langevin": lambda map, time: paths.Langevin(
        ENERGY, curvature=map, rates=map, beta=0.7, time=time, prior_scale=SCALE
    ),
    "linearised": lambda map, time: paths.Linearised(
        ENERGY, rates=map, time=time, prior_scale=SCALE
    ),
    "relaxed": lambda map, time: paths.Relaxed(
        ENERGY, curvature=map, rates=map, step=0.6, time=time, prior_scale=SCALE
    ),
    "spectral": lambda map, time: paths.Spectral(
        ENERGY,
        rates=map,
        time=time,
        end_law=paths.Laplace(map, beta=0.7),
        prior_scale=SCALE,
        noise="own",
    ),
}
ISOTROPIC = {
    "cosine": lambda time: paths.Cosine(prior_scale=SCALE),
    "optimal-transport": lambda time: paths.OptimalTransport(prior_scale=SCALE),
    "stable": lambda time: paths.Stable(rate=1.7, time=time, prior_scale=SCALE),
    "variance-exploding": lambda time: paths.VarianceExploding(prior_scale=SCALE),
    "variance-preserving": lambda time: paths.VariancePreserving(prior_scale=SCALE),
}
TIMES = {
    "cosine": times.CosineTime(),
    "linear": times.LinearTime(0.3),
    "log": times.LogTime(),
    "polynomial": times.PolynomialTime(3),
}


def layouts():
    """A saddle's spectrum in a random basis, dense, with two of five vectors, and in coordinates."""
    Q = jnp.asarray(np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0])
    eigenvalues = jnp.array([-3.0, 0.2, 1.0, 9.0, 25.0])
    return {
        "dense": spectrum.dense(eigenvalues, Q),
        "low-rank": spectrum.low_rank(eigenvalues[3:], Q[:, 3:], jnp.asarray(0.5), 5),
        "diagonal": spectrum.diagonal(eigenvalues),
    }


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("name", SPECTRAL)
def test_marginals_of_spectral_paths_for_every_map(name, time, layout):
    x1 = jnp.array([0.4, -1.0, 0.3, 0.8, -0.2])
    each = [SPECTRAL[name](map, TIMES[time]) for map in MAPS.values()]
    anchors = [path.anchor_from(layouts()[layout], x1) for path in each]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *anchors)
    holds(each[0], stacked)


@pytest.mark.parametrize("name", ISOTROPIC)
def test_marginals_of_isotropic_paths(name):
    holds(ISOTROPIC[name](TIMES["log"]), jnp.array([[0.4, -1.0, 0.3, 0.8, -0.2]]))


def holds(path, anchors):
    x0 = jax.vmap(priors.Normal(5, scale=SCALE).sample)(jax.random.split(jax.random.key(0), 3000))
    found = measure(path, anchors, x0)
    assert float(found["samples"].max()) < 7
    assert float(found["continuity"].max()) < 1e-9
    assert float(found["ode"].max()) < 1e-6


@eqx.filter_jit
def measure(path, anchors, x0):
    def one(anchor):
        t = jnp.asarray(0.4)
        return {
            "samples": jax.vmap(lambda s: standard_errors(path, anchor, x0, s))(
                jnp.array([0.2, 0.7])
            ),
            "continuity": jax.vmap(lambda x: continuity(path, anchor, path.flow(x, anchor, t), t))(
                x0[:3]
            ),
            "ode": jax.vmap(lambda x: distance_to_ode(path, anchor, x))(x0[:3]),
        }

    return jax.vmap(one)(anchors)


def standard_errors(path, anchor, x0, t):
    """Mean and covariance of samples against the closed form in the path's own basis."""
    x = jax.vmap(lambda x: path.flow(x, anchor, t))(x0)
    frame = path.frame(anchor)
    _, sigma = path.schedule(t, frame)
    whiten = jax.vmap(lambda y: frame.modes.apply(1 / sigma, y - path.mean(anchor, t)))
    z = whiten(x)
    n = x0.shape[0]
    covariance = z.T @ z / n - jnp.eye(5)
    return jnp.maximum(
        jnp.abs(z.mean(0)).max() * jnp.sqrt(n), jnp.abs(covariance).max() * jnp.sqrt(n / 2)
    )


def continuity(path, anchor, x, t):
    """∂ log p + u · ∇ log p + ∇ · u, relative to its terms."""
    log_p = jax.jvp(lambda s: path.log_prob(x, anchor, s), (t,), (1.0,))[1]
    u = path.velocity(x, anchor, t)
    slope = jax.grad(lambda y: path.log_prob(y, anchor, t))(x)
    trace = jnp.trace(jax.jacfwd(lambda y: path.velocity(y, anchor, t))(x))
    return jnp.abs(log_p + u @ slope + trace) / (1 + jnp.abs(log_p) + jnp.abs(u @ slope))


def distance_to_ode(path, anchor, x0):
    """The conditional flow against the solution of dx/dt = u_t(x | x1)."""
    start, end = jnp.asarray(0.05), jnp.asarray(0.8)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, x, _: path.velocity(x, anchor, t)),
        diffrax.Tsit5(),
        start,
        end,
        0.01,
        path.flow(x0, anchor, start),
        stepsize_controller=diffrax.PIDController(1e-9, 1e-9),
    )
    assert solution.ys is not None
    return jnp.abs(solution.ys[0] - path.flow(x0, anchor, end)).max() / (1 + jnp.abs(x0).max())
