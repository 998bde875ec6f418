"""All paths × spectral maps × time transforms × layouts of a spectrum: samples, continuity, ODE.

The matrix is of everything that is registered, so a new built-in is in it. The maps are handled side
by side: an anchor holds only the numbers that a map gave, so anchors of all maps are one batch for
the compiled check of one path, transform and layout.
"""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from built_in import own
from hiflow import energies, paths, priors, spectral, spectrum, times
from hiflow.testing import example

pytestmark = pytest.mark.usefixtures("x64")

SCALE = 1.3
X1 = np.array([0.4, -1.0, 0.3, 0.8, -0.2])
EIGENVALUES = np.array([-3.0, 0.2, 1.0, 9.0, 25.0])
MAPS = {
    "absolute": lambda: spectral.Absolute(0.8),
    "power": lambda: spectral.Power(0.3),
    "raised": lambda: spectral.Raised(spectral.Absolute(1.0), 0.5),
    "saturating": lambda: spectral.Saturating(2.0, 5.0),
    "shifted": lambda: spectral.Shifted(5.0, least=-4.0),
    "shuffled": lambda: spectral.Shuffled(spectral.Saturating(2.0, 5.0)),
}
"""Maps with other numbers than `example` gives them."""

TIMES = {"linear": lambda: times.LinearTime(0.3), "polynomial": lambda: times.PolynomialTime(3)}
PATHS = {
    "at-minimum": lambda map: {"inner": {"name": "langevin", "curvature": map, "beta": 0.7}},
    "spectral": lambda map: {"end_law": paths.Laplace(map, beta=0.7), "noise": "own"},
}
"""What a path needs besides what all may take."""


def gaussian(base):
    """The built-in paths of a kind. What can't be made from these parts, but has an `example()`, is
    checked by that, as all others are, with the built-ins."""
    every = {name: paths.registry.get(name) for name in own(paths.registry)}
    return [n for n, cls in every.items() if issubclass(cls, base) and not hasattr(cls, "example")]


SPECTRAL = gaussian(paths.AbstractSpectralPath)
ISOTROPIC = gaussian(paths.AbstractIsotropicPath)
OTHERS = sorted({*gaussian(paths.AbstractGaussianPath)} - {*SPECTRAL, *ISOTROPIC})


def make_time(name):
    return TIMES[name]() if name in TIMES else example(times.registry, name)


def make_map(name):
    return MAPS[name]() if name in MAPS else example(spectral.registry, name)


def make_path(name, map, time):
    """The path of that name, with as many of these as it takes."""
    energy = energies.Gaussian(jnp.zeros(5), jnp.array([0.5, 1.0, 2.0, 8.0, 30.0]))
    return paths.registry.make(
        {"name": name, **(PATHS[name](map) if name in PATHS else {})},
        energy=energy,
        rates=map if float(map.lower_bound) > 0.5 else spectral.Constant(),
        curvature=map,
        time=time,
        beta=0.7,
        step=0.6,
        rate=1.7,
        prior_scale=SCALE,
    )


def layouts():
    """A saddle's spectrum in a random basis, dense, with two of five vectors, and in coordinates."""
    Q = jnp.asarray(np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0])
    eigenvalues = jnp.asarray(EIGENVALUES)
    return {
        "dense": spectrum.dense(eigenvalues, Q),
        "low-rank": spectrum.low_rank(eigenvalues[3:], Q[:, 3:], jnp.asarray(0.5), 5),
        "diagonal": spectrum.diagonal(eigenvalues),
    }


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("time", own(times.registry))
@pytest.mark.parametrize("name", SPECTRAL)
def test_marginals_of_spectral_paths_for_every_map(name, time, layout):
    maps = [make_map(map) for map in own(spectral.registry)]
    # A map may refuse the saddle.
    taken = [map for map in maps if jnp.isfinite(map(jnp.asarray(EIGENVALUES))).all()]
    each = [make_path(name, map, make_time(time)) for map in taken]
    anchors = [path.anchor_from(layouts()[layout], jnp.asarray(X1)) for path in each]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *anchors)
    holds(each[0], stacked)


@pytest.mark.parametrize("name", ISOTROPIC)
def test_marginals_of_isotropic_paths(name):
    holds_of_anchor(make_path(name, spectral.Constant(), times.LogTime()))


@pytest.mark.parametrize("name", OTHERS)
def test_marginals_of_paths_of_other_kinds(name):
    holds_of_anchor(make_path(name, spectral.Absolute(0.8), times.LogTime()))


def holds_of_anchor(path):
    holds(path, jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], path.anchor(jnp.asarray(X1))))


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
