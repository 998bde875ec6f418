"""The image network: shapes, dtypes, gradients, divergence, storage, and that it learns. Its laws are
checked with those of all built-in networks."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hiflow as hf
from hiflow.networks import UNet, registry
from hiflow.networks._convolution import convolution
from hiflow.networks._perturbed import perturbed
from hiflow.networks._unet_layers import Convolution, enlarged, from_patches, to_patches

TINY: dict[str, Any] = {"width": 4, "heads": 2}
call = eqx.filter_jit(lambda network, t, x: network(t, x))


@functools.cache
def trained(shape, **settings):
    """A small network whose weights have been moved, so that no zero hides a mistake."""
    network = UNet(shape, **{**TINY, **settings}, key=jax.random.key(0))
    return perturbed(network, jax.random.key(1), 0.1)


def event(shape, seed=2):
    return jnp.asarray(0.3), jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((5, 6), {}),
        ((7, 5), {"patch": 1}),
        ((14, 14), {"multipliers": (1, 1, 2), "blocks": 2}),
        ((5, 8, 3), {"multipliers": (2,), "patch": 3}),
    ],
)
def test_velocity_has_event_shape(shape, settings):
    t, x = event(shape)
    fresh = UNet(shape, **TINY, **settings, key=jax.random.key(0))
    assert eqx.filter_eval_shape(fresh, t, x).shape == shape
    assert not call(fresh, t, x).any()
    v = call(trained(shape, **settings), t, x)
    assert v.shape == shape
    assert v.dtype == jnp.float32
    assert jnp.isfinite(v).all()
    assert jnp.abs(v).max() > 1e-3


def test_depends_on_time_and_every_weight():
    network = trained((5, 6))
    t, x = event((5, 6))
    grads = eqx.filter_jit(eqx.filter_grad(lambda n: (n(t, x) ** 2).sum()))(network)
    for leaf in jax.tree.leaves(grads):
        assert jnp.isfinite(leaf).all()
        assert jnp.abs(leaf).max() > 0
    assert jnp.abs(call(network, t, x) - call(network, 1 - t, x)).max() > 1e-3


def test_first_gradient_is_finite():
    network = UNet((5, 6), **TINY, key=jax.random.key(0))
    t, x = event((5, 6))
    grads = eqx.filter_jit(eqx.filter_grad(lambda n: ((n(t, x) - x) ** 2).sum()))(network)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    assert jnp.abs(grads.head.weight).max() > 0


def test_batch_is_what_single_images_are():
    network = trained((5, 6))
    x = jax.random.normal(jax.random.key(3), (3, 5, 6))
    t = jnp.array([0.0, 0.4, 1.0])
    batch = eqx.filter_jit(lambda n, t, x: jax.vmap(n)(t, x))(network, t, x)
    alone = jnp.stack([call(network, *one) for one in zip(t, x, strict=True)])
    np.testing.assert_allclose(batch, alone, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_velocity_follows_the_images_dtype(dtype, x64):
    network = UNet((5, 6), **TINY, key=jax.random.key(0))
    t, x = event((5, 6))
    assert network.stem.weight.dtype == jnp.float64
    for compute in ("auto", "float32", "bfloat16"):
        v = eqx.filter_eval_shape(network.with_compute(compute), t, x.astype(dtype))
        assert v.dtype == dtype


def test_bfloat16_is_close_to_float32():
    network = trained((5, 6))
    t, x = event((5, 6))
    exact = call(network.with_compute("float32"), t, x)
    rough = call(network.with_compute("bfloat16"), t, x)
    assert rough.dtype == jnp.float32
    error = jnp.linalg.norm(rough - exact) / jnp.linalg.norm(exact)
    assert 1e-4 < error < 5e-2


def test_auto_is_bfloat16_but_on_cpus_and_in_double_precision(monkeypatch):
    network = trained((5, 6))
    single, double = jnp.dtype("float32"), jnp.dtype("float64")
    assert network._compute_dtype(single) == jnp.float32
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert network._compute_dtype(single) == jnp.bfloat16
    assert network._compute_dtype(double) == jnp.float64
    assert network.with_compute("float32")._compute_dtype(single) == jnp.float32


def test_divergence_is_trace_of_jacobian_and_mean_of_probes(x64):
    network = perturbed(UNet((8, 8), **TINY, key=jax.random.key(0)), jax.random.key(1), 0.1)
    t, x = event((8, 8))
    jacobian = jax.jit(jax.jacrev(lambda y: network(t, y.reshape(8, 8)).ravel()))(x.ravel())
    trace = jnp.trace(jacobian)
    v, exact = eqx.filter_jit(hf.Exact())(network, t, x, None)
    np.testing.assert_allclose(v, call(network, t, x), atol=1e-10)
    assert abs(exact - trace) < 1e-9 * (1 + abs(trace))
    hutchinson = hf.Hutchinson(probes=2_000)
    probes = hutchinson.draw(jax.random.key(5), x)
    _, estimates = eqx.filter_jit(hutchinson)(network, t, x, probes)
    assert abs(estimates.mean() - trace) < 4 * estimates.std() / np.sqrt(2_000)


def test_flow_is_stored_and_read(tmp_path):
    network = trained((5, 6), compute="bfloat16")
    flow = hf.Flow(hf.priors.Normal((5, 6)), network, steps=2, divergence=hf.Hutchinson())
    flow.save(tmp_path / "images.flow")
    found = hf.load(tmp_path / "images.flow")
    assert isinstance(found.network, UNet)
    assert found.network.compute == "bfloat16"
    t, x = event((5, 6))
    np.testing.assert_array_equal(call(found.network, t, x), call(network, t, x))


def test_learns_images():
    # Bright squares on a dark ground.
    corners = np.random.default_rng(0).integers(0, 4, (64, 2))
    grid = np.arange(8)
    inside = [(grid >= corners[:, i, None]) & (grid < corners[:, i, None] + 4) for i in (0, 1)]
    x1 = jnp.asarray(np.einsum("ni,nj->nij", *inside) * 2.0 - 1.0)
    network = UNet((8, 8), width=8, key=jax.random.key(0))
    adam = optax.adam(3e-3)

    def loss(network, key):
        k_prior, k_time = jax.random.split(key)
        x0 = jax.random.normal(k_prior, x1.shape)
        t = jax.random.uniform(k_time, x1.shape[:1])
        s = t[:, None, None]
        velocity = jax.vmap(network)(t, (1 - s) * x0 + s * x1)
        return jnp.mean((velocity - (x1 - x0)) ** 2)

    @eqx.filter_jit
    def train(network, keys):
        parameters, static = eqx.partition(network, eqx.is_inexact_array)

        def step(carry, key):
            parameters, memory = carry
            value, gradient = jax.value_and_grad(lambda p: loss(eqx.combine(p, static), key))(
                parameters
            )
            updates, memory = adam.update(gradient, memory)
            return (optax.apply_updates(parameters, updates), memory), value

        return jax.lax.scan(step, (parameters, adam.init(parameters)), keys)[1]

    losses = train(network, jax.random.split(jax.random.key(1), 60))
    assert losses[-5:].mean() < 0.6 * losses[:5].mean()


@pytest.mark.gpu
def test_training_from_disk_and_likelihood_on_a_gpu(tmp_path):
    x1 = jax.random.normal(jax.random.key(1), (32, 8, 8)) * jnp.linspace(0.1, 1.0, 8)
    flow = hf.fit(
        UNet((8, 8), width=8, key=jax.random.key(0)),
        hf.paths.OptimalTransport(),
        x1,
        prior=hf.priors.Normal((8, 8)),
        key=jax.random.key(2),
        steps=40,
        batch_size=16,
        anchor_dir=tmp_path,
        solver_settings={"steps": 4},
        progress=False,
    )
    rough = flow.log_prob(x1[:4])
    assert isinstance(flow.network, UNet)
    flow = eqx.tree_at(lambda f: f.network, flow, flow.network.with_compute("float32"))
    with jax.default_matmul_precision("highest"):
        here = flow.log_prob(x1[:4])
        there = eqx.filter_shard((flow, x1[:4]), jax.devices("cpu")[0])
        np.testing.assert_allclose(here, there[0].log_prob(there[1]), rtol=1e-3)
    np.testing.assert_allclose(rough, here, rtol=0.05, atol=1.0)


def test_patches_are_undone():
    x = jnp.arange(5 * 7 * 2.0).reshape(5, 7, 2)
    patches = to_patches(x, 2)
    assert patches.shape == (3, 4, 8)
    np.testing.assert_array_equal(from_patches(patches, 2, 5, 7), x)
    np.testing.assert_array_equal(
        enlarged(x[::2, ::2], 5, 7), x[np.ix_([0, 0, 2, 2, 4], [0, 0, 2, 2, 4, 4, 6])]
    )


def test_small_images_are_convolved_alike():
    layer = Convolution(2, 3, key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (1, 2, 2))
    around = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
    expected = sum(
        around[i : i + 1, j : j + 2] @ layer.weight[i, j] for i in range(3) for j in range(3)
    )
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


@pytest.mark.parametrize("batched_weight", [False, True])
def test_convolution_and_its_derivatives_are_those_of_jax(batched_weight, x64):
    k_x, k_w, k_dx, k_dw = jax.random.split(jax.random.key(0), 4)
    x, dx = (jax.random.normal(k, (3, 2, 5, 4, 2)) for k in (k_x, k_dx))
    w, dw = (jax.random.normal(k, (3, 3, 3, 2, 4)) for k in (k_w, k_dw))

    def plain(x, w):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=layout)

    def found(function):
        def one(x, w, dx, dw):
            y, push = jax.linearize(function, x, w)
            _, pull = jax.vjp(function, x, w)
            hessian = jax.jvp(jax.grad(lambda x, w: jnp.sum(function(x, w) ** 3)), (x, w), (dx, dw))
            return y, push(dx, dw), pull(y**2), hessian

        axes = (0, 0 if batched_weight else None) * 2
        weights = (w, dw) if batched_weight else (w[0], dw[0])
        return jax.jit(jax.vmap(one, axes))(x, weights[0], dx, weights[1])

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), found(convolution), found(plain)
    )


@pytest.mark.parametrize(
    ("shape", "settings", "argument"),
    [
        ((16,), {}, "shape"),
        ((8, 8, 3, 1), {}, "shape"),
        ((3, 8), {}, "shape"),
        ((8, 8), {"size": "huge"}, "size"),
        ((8, 8), {"compute": "float16"}, "compute"),
        ((8, 8), {"width": -1}, "width"),
        ((8, 8), {"multipliers": (1, 0)}, "multipliers"),
        ((8, 8), {"multipliers": ()}, "multipliers"),
        ((8, 8), {"blocks": 0}, "blocks"),
        ((8, 8), {"heads": 7}, "heads"),
        ((8, 8), {"patch": 0}, "patch"),
    ],
)
def test_bad_arguments_are_named(shape, settings, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        UNet(shape, **settings, key=jax.random.key(0))


def test_wrong_event_shape_is_refused():
    with pytest.raises(ValueError, match="event shape"):
        trained((5, 6))(jnp.asarray(0.5), jnp.zeros((6, 5)))
    with pytest.raises(ValueError, match="`compute`"):
        trained((5, 6)).with_compute("half")


def test_registry_makes_it_from_a_table():
    table = {"name": "unet", "size": "tiny", "width": 8, "multipliers": [1, 2]}
    key = jax.random.key(0)
    network = registry.make(table, shape=(8, 8), particles=8, dim=8, group=None, key=key)
    assert isinstance(network, UNet)
    assert network.stem.weight.shape == (3, 3, 4, 8)
    assert isinstance(network.group, hf.groups.Trivial)
