"""Equivariance of the whole construction, from the energy to a trained flow, under E(3) × S₁₃."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.testing import relaxed_points

ENERGY = hf.energies.LennardJones.preset("lj13")
PRIOR = hf.priors.CentredNormal(13, 3)
GROUP = ENERGY.group
SHAPE = (13, 3)


def elements(n, seed=0):
    keys = jax.random.split(jax.random.key(seed), n)
    return jax.vmap(lambda key: GROUP.sample(key, SHAPE))(keys)


def centred(g, x):
    """g x, back in the subspace that densities are over."""
    return PRIOR.group.project(GROUP.act(g, x))


@pytest.fixture(scope="module")
def points():
    return relaxed_points(ENERGY, jax.random.key(1), 96, steps=40)


@pytest.fixture(scope="module")
def trained(points):
    network = hf.networks.EGNN(13, 3, width=16, depth=1, key=jax.random.key(0))
    return hf.fit(
        network, hf.paths.Linearised(ENERGY, hessian="analytic"), points, prior=PRIOR,
        key=jax.random.key(2), steps=100, batch_size=32, learning_rate=3e-3, ema=0.9,
        coupling="symmetry-aligned", progress=False,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:the data don't follow")
def test_log_density_of_a_trained_flow_is_invariant(trained, points):
    g, x = elements(12), points[:12]
    moved = jax.vmap(GROUP.act)(g, x)
    # Fixed steps: adaptive ones follow rounding, and the solver's error with them.
    log_p = trained.log_prob(jnp.concatenate([x, moved]), steps=48)
    assert jnp.std(log_p[:12]) > 0.1
    assert float(jnp.abs(log_p[:12] - log_p[12:]).max()) <= 1e-3


@pytest.mark.filterwarnings("ignore:the data don't follow")
def test_samples_of_moved_prior_points_are_moved_samples(trained):
    x0 = jax.vmap(PRIOR.sample)(jax.random.split(jax.random.key(3), 12))
    g = elements(12, seed=1)
    samples = trained.push(jnp.concatenate([x0, jax.vmap(centred)(g, x0)]), steps=48)
    expected = jax.vmap(centred)(g, samples[:12])
    assert float(jnp.abs(samples[:12] - x0).max()) > 0.05
    np.testing.assert_allclose(samples[12:], expected, atol=1e-3)


def test_every_link_of_the_chain_is_equivariant(points, x64):
    """Energy, Hessian, spectral function, conditional flow and coupling, at the same elements."""
    x1 = jnp.asarray(np.asarray(points[:6]), jnp.float64)
    x0 = jax.vmap(PRIOR.sample)(jax.random.split(jax.random.key(4), 6)).astype(jnp.float64)
    path = hf.paths.Langevin(ENERGY, hessian="symmetry-projected", rates="saturating")
    coupling = hf.couplings.SymmetryAligned(GROUP)

    def linear(g, v):
        return GROUP.act(g, v) - GROUP.act(g, jnp.zeros(SHAPE))

    @jax.jit
    def chain(x0, x1):
        paired, _ = coupling(x0, x1, jax.random.key(0))

        def one(x0, x1):
            anchor = path.anchor(x1)
            x_t, velocity = path.flow_and_velocity(x0, anchor, jnp.asarray(0.4))
            return {
                "energy": ENERGY(x1),
                "relaxed": anchor.modes.apply(anchor.speeds, x0.ravel()).reshape(SHAPE),
                "flow": x_t,
                "velocity": velocity,
                "density": path.log_prob(x_t, anchor, jnp.asarray(0.4)),
            }

        return jax.vmap(one)(x0, x1) | {"coupled": paired}

    g = elements(6, seed=5)
    here, there = chain(x0, x1), chain(jax.vmap(centred)(g, x0), jax.vmap(centred)(g, x1))
    for name, value in here.items():
        moves = value.ndim == 3
        expected = jax.vmap(linear)(g, value) if moves else value
        np.testing.assert_allclose(there[name], expected, rtol=1e-6, atol=1e-6, err_msg=name)
