"""The laws of the velocity fields: symmetry, smoothness and exact divergence."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiflow.groups import Product, Translation
from hiflow.networks import EGNN, MLP, SupportsDivergence, registry

seeds = st.integers(0, 2**31 - 1)
# Particles, dimension, depth; each compiles once, and the seeds vary within it.
sizes = st.sampled_from([(2, 1, 1), (3, 2, 2), (6, 3, 3)])


def stirred(network, seed):
    """The network with every weight moved, so that no zero initialisation hides a mistake."""
    leaves, tree = jax.tree.flatten(eqx.filter(network, eqx.is_inexact_array))
    rng = np.random.default_rng(seed)
    moved = [leaf + 0.3 * jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype) for leaf in leaves]
    return eqx.combine(jax.tree.unflatten(tree, moved), network)


def event(seed, shape):
    rng = np.random.default_rng(seed)
    dtype = jnp.result_type(float)
    return jnp.asarray(rng.uniform(), dtype), jnp.asarray(rng.normal(size=shape), dtype)


@functools.cache
def untrained(size, dtype):
    particles, dim, depth = size
    return EGNN(particles, dim, width=6, depth=depth, length=1.7, key=jax.random.key(0))


def egnn(seed, size):
    return stirred(untrained(size, jnp.result_type(float)), seed)


call = eqx.filter_jit(lambda network, t, x: network(t, x))
exact = eqx.filter_jit(lambda network, t, x: network.velocity_and_divergence(t, x))
jacobian = eqx.filter_jit(lambda network, t, x: jax.jacfwd(lambda y: network(t, y))(x))


@eqx.filter_jit
def symmetry_errors(network, key, t, x):
    """How far the field is from equivariant, translation-invariant and centred."""
    linear = Product(network.group.groups[:-1])
    g, v = linear.sample(key, x.shape), network(t, x)
    turned = network(t, linear.act(g, x)) - linear.act(g, v)
    shifted = network(t, x + jnp.arange(1.0, 1.0 + x.shape[1], dtype=x.dtype)) - v
    return jnp.stack([jnp.abs(turned).max(), jnp.abs(shifted).max(), jnp.abs(v.sum(0)).max()])


@given(seed=seeds, size=sizes)
def test_egnn_is_equivariant(seed, size):
    with jax.enable_x64(True):
        network = egnn(seed, size)
        t, x = event(seed, network.event_shape)
        assert symmetry_errors(network, jax.random.key(seed), t, x).max() < 1e-10


def test_egnn_is_equivariant_in_single_precision():
    network = egnn(0, (6, 3, 3))
    t, x = event(1, (6, 3))
    v = call(network, t, x)
    assert v.dtype == jnp.float32
    errors = symmetry_errors(network, jax.random.key(2), t, x)
    assert errors.max() < 2e-5 * jnp.abs(v).max()


@given(seed=seeds, size=sizes)
def test_egnn_divergence_is_trace_of_jacobian(seed, size):
    with jax.enable_x64(True):
        network = egnn(seed, size)
        t, x = event(seed, network.event_shape)
        v, divergence = exact(network, t, x)
        trace = jnp.trace(jacobian(network, t, x).reshape(x.size, x.size))
        assert jnp.abs(v - call(network, t, x)).max() < 1e-10
        assert abs(divergence - trace) < 1e-9 * (1 + abs(trace))


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("shape", "activation", "group"),
    [((5,), "silu", None), ((7, 2), "tanh", "translation"), ((6,), "softmax", None)],
    ids=["vector", "particles", "not pointwise"],
)
def test_mlp_divergence_is_trace_of_jacobian(x64, shape, activation, group, depth):
    """Few coordinates for the width and many, also where an activation mixes the channels."""
    network = MLP(shape, 6, depth, activation, group, key=jax.random.key(0))
    t, x = jnp.asarray(0.3), jax.random.normal(jax.random.key(1), shape)
    v, divergence = exact(network, t, x)
    jacobian = jax.jacfwd(lambda y: network(t, y.reshape(shape)).ravel())(x.ravel())
    np.testing.assert_allclose(v, network(t, x), rtol=1e-12)
    np.testing.assert_allclose(divergence, jnp.trace(jacobian), rtol=1e-9)


def test_egnn_divergence_is_differentiable(x64):
    network = egnn(3, (3, 2, 2))
    t, x = event(5, (3, 2))

    def trace(network):
        return jnp.trace(jax.jacfwd(lambda y: network(t, y))(x).reshape(x.size, x.size))

    dense = eqx.filter_jit(eqx.filter_grad(trace))(network)
    ours = eqx.filter_jit(eqx.filter_grad(lambda n: n.velocity_and_divergence(t, x)[1]))(network)
    for a, b in zip(jax.tree.leaves(dense), jax.tree.leaves(ours), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


def test_egnn_is_smooth_where_particles_coincide():
    network = egnn(0, (4, 3, 2))
    t, x = jnp.asarray(0.5), jnp.zeros((4, 3)).at[2:].set(1.0)
    v, divergence = exact(network, t, x)
    slope = jax.grad(lambda y: (network(t, y) ** 2).sum())
    curvature = jax.jit(lambda y: jax.jvp(slope, (y,), (jnp.cos(jnp.arange(12.0).reshape(4, 3)),)))(
        x
    )
    weights = eqx.filter_jit(eqx.filter_grad(lambda n: (n(t, x) ** 2).sum()))(network)
    for value in [v, divergence, *curvature, *jax.tree.leaves(weights)]:
        assert jnp.isfinite(value).all()


@pytest.mark.parametrize("scale", [1e-6, 1e3, 1e6])
def test_egnn_is_finite_at_any_scale(scale):
    network = egnn(0, (4, 3, 2))
    t, x = event(0, (4, 3))
    v, divergence = exact(network, t, scale * x)
    assert jnp.isfinite(v).all()
    assert jnp.isfinite(divergence)


def test_untrained_egnn_is_a_gaussian_flow():
    network = EGNN(5, 2, width=4, depth=2, key=jax.random.key(0))
    _, x = event(0, (5, 2))
    for t in (0.0, 0.3, 1.0):
        rate = (2 * t - 1) / ((1 - t) ** 2 + t**2)
        expected = rate * (x - x.mean(0))
        np.testing.assert_allclose(call(network, jnp.asarray(t), x), expected, atol=1e-5)


def test_mlp_with_translations_stays_centred():
    network = MLP((4, 2), width=8, depth=2, projects_on=Translation(), key=jax.random.key(0))
    t, x = event(0, (4, 2))
    v = call(network, t, x)
    assert jnp.abs(v.sum(0)).max() < 1e-6
    np.testing.assert_allclose(call(network, t, x + 1.5), v, atol=1e-5)


@pytest.mark.parametrize("network", [MLP((3, 2), width=5, key=jax.random.key(0)), None])
def test_fields_depend_on_time_and_every_weight(network):
    network = stirred(egnn(0, (3, 2, 2)) if network is None else network, 1)
    t, x = event(0, (3, 2))
    grads = eqx.filter_jit(eqx.filter_grad(lambda n: (n(t, x) ** 2).sum()))(network)
    for leaf in jax.tree.leaves(grads):
        assert jnp.isfinite(leaf).all()
        assert jnp.abs(leaf).max() > 0
    assert jnp.abs(call(network, t, x) - call(network, 1 - t, x)).max() > 1e-4


def test_mlp_takes_names_and_integers():
    network = MLP(
        2, width=4, depth=1, activation="tanh", projects_on="trivial", key=jax.random.key(0)
    )
    assert network.event_shape == (2,)
    assert network(jnp.asarray(0.5), jnp.zeros(2)).shape == (2,)


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda key: EGNN(1, 3, key=key), "particles"),
        (lambda key: EGNN(4, 0, key=key), "dim"),
        (lambda key: EGNN(4, 3, width=0, key=key), "width"),
        (lambda key: EGNN(4, 3, depth=0, key=key), "depth"),
        (lambda key: EGNN(4, 3, length=0.0, key=key), "length"),
        (lambda key: MLP((0,), key=key), "shape"),
        (lambda key: MLP((2,), width=0, key=key), "width"),
        (lambda key: MLP((2,), depth=0, key=key), "depth"),
        (lambda key: MLP((2,), activation="sillu", key=key), "activation"),
    ],
)
def test_bad_arguments_are_named(build, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        build(jax.random.key(0))


def test_wrong_event_shape_is_refused():
    network = EGNN(4, 3, width=4, depth=1, key=jax.random.key(0))
    with pytest.raises(ValueError, match="event shape"):
        network(jnp.asarray(0.5), jnp.zeros((5, 3)))


def test_registry_makes_both_and_they_know_their_divergence():
    key = jax.random.key(0)
    network = registry.make({"name": "egnn", "width": 4, "depth": 1}, particles=3, dim=2, key=key)
    assert isinstance(network, SupportsDivergence)
    assert isinstance(registry.make("mlp", shape=(2,), key=key), SupportsDivergence)
