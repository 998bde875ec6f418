"""Mixed precision: products alone are rounded, of every network, and what comes of them is close."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.groups import linear_part
from hiflow.networks._low_products import computing_in, with_low_products
from hiflow.networks._perturbed import perturbed

KEY = jax.random.key(0)
# What is stated in docs/devices.md: of the largest component, for weights of ordinary size.
CLOSE = 0.03


class Loops(hf.networks.AbstractVelocityField):
    """A network of a user's own: loops, a choice, a rematerialised layer, whole numbers."""

    weights: jax.Array
    order: jax.Array
    event_shape: tuple[int, ...] = eqx.field(static=True, default=(3,))
    group = hf.groups.Trivial()

    def __call__(self, t, x):
        def layer(h, weight):
            return jax.checkpoint(lambda h: jax.nn.relu(weight @ h) + h)(h), None

        h, _ = jax.lax.scan(layer, jnp.append(x, t)[self.order], self.weights)
        h = jax.lax.cond(t > 0.5, lambda h: self.weights[0] @ h, lambda h: 2 * h, h)
        return jax.lax.fori_loop(0, 2, lambda i, h: self.weights[i] @ h, h)[:3]


def mlp(depth):
    return eqx.nn.MLP(4, 3, 16, depth, activation=jax.nn.silu, key=KEY)


NETWORKS = {
    "mlp": lambda: hf.networks.MLP((3,), width=16, classes=2, key=KEY),
    "egnn": lambda: hf.networks.EGNN(4, 2, width=8, depth=2, key=KEY),
    "labelled": lambda: hf.networks.EGNN(
        4, 3, width=8, depth=2, species=[0, 1, 2, 2], bonds=[(0, 1)], reflections=False, key=KEY
    ),
    "unet": lambda: hf.networks.UNet((4, 4), width=4, multipliers=(1,), heads=2, patch=1, key=KEY),
    "from-vector": lambda: hf.networks.FromVector(mlp(2), (3,)),
    "loops": lambda: Loops(jax.random.normal(KEY, (2, 4, 4)), jnp.array([3, 1, 0, 2])),
}


@eqx.filter_jit
def both(network, t, x):
    """Velocities in bfloat16, in float32 and as the network has it; gradients of bfloat16's."""
    weights, static = eqx.partition(network, eqx.is_inexact_array)

    def low(weights, t, x):
        return computing_in(eqx.combine(weights, static), "bfloat16")(t, x)

    def squared(weights):
        return jnp.mean(jax.vmap(lambda t, x: low(weights, t, x))(t, x) ** 2)

    full = jax.vmap(computing_in(network, "float32"))(t, x)
    rough = jax.vmap(lambda t, x: low(weights, t, x))(t, x)
    return rough, full, jax.vmap(network)(t, x), jax.grad(squared)(weights)


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_is_close_in_single_precision_with_finite_gradients(name):
    network = perturbed(NETWORKS[name](), KEY, 0.1)
    t = jnp.linspace(0.1, 0.9, 4)
    x = jax.random.normal(KEY, (4, *network.event_shape))
    if name == "loops":  # Reverse mode goes through loops of a known length alone.
        network = eqx.tree_at(lambda n: n.weights, network, network.weights / 2)
    rough, full, own, gradient = both(network, t, x)
    assert rough.dtype == x.dtype
    assert 0 < jnp.abs(rough - full).max() < CLOSE * jnp.abs(full).max()
    np.testing.assert_array_equal(full, own)
    leaves = jax.tree.leaves(gradient)
    assert all(jnp.isfinite(leaf).all() and leaf.dtype == x.dtype for leaf in leaves)
    assert any(jnp.abs(leaf).max() > 0 for leaf in leaves)


@pytest.mark.parametrize("name", ["egnn", "labelled"])
def test_bfloat16_is_equivariant_up_to_its_rounding(name):
    network = perturbed(NETWORKS[name](), KEY, 0.1)
    x, field = jax.random.normal(KEY, (4, 3 if name == "labelled" else 2)), network.group

    @jax.jit
    def error(key):
        v, g = computing_in(network, "bfloat16"), field.sample(key, x.shape)
        straight = linear_part(field, g, v(jnp.array(0.4), x))
        return (
            jnp.abs(v(jnp.array(0.4), field.act(g, x)) - straight).max() / jnp.abs(straight).max()
        )

    errors = [float(error(key)) for key in jax.random.split(KEY, 3)]
    assert max(errors) < CLOSE


def test_a_product_is_that_of_rounded_factors_and_nothing_else_is_rounded():
    w, x, t = jax.random.normal(KEY, (5, 4)), jax.random.normal(KEY, (4,)), jnp.array(0.12345)
    whole = jnp.arange(20).reshape(5, 4)

    def function(t, x):
        return w @ x, jnp.sin(1e3 * t) + x, jnp.dot(w, x, precision="highest"), whole @ whole.T

    product, rest, careful, counted = jax.jit(with_low_products(function))(t, x)
    rounded = [np.asarray(a.astype(jnp.bfloat16), np.float64) for a in (w, x)]
    np.testing.assert_allclose(product, rounded[0] @ rounded[1], rtol=2**-8, atol=1e-6)
    exact = jax.jit(function)(t, x)
    np.testing.assert_array_equal(rest, exact[1])
    np.testing.assert_array_equal(careful, exact[2])
    np.testing.assert_array_equal(counted, exact[3])


def test_convolutions_are_rounded_and_derivatives_by_rule_are_not():
    image, kernel = jax.random.normal(KEY, (1, 6, 6, 2)), jax.random.normal(KEY, (3, 3, 2, 4))

    def convolved(image, kernel):
        dims = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(image, kernel, (1, 1), "SAME", dimension_numbers=dims)

    @jax.custom_jvp
    def ruled(image):
        return image @ image.mT

    ruled.defjvp(lambda xs, ts: (ruled(*xs), ruled(*ts)))
    rough = jax.jit(with_low_products(lambda i, k: (convolved(i, k), ruled(i))))(image, kernel)
    full = jax.jit(lambda i, k: (convolved(i, k), ruled(i)))(image, kernel)
    assert 0 < jnp.abs(rough[0] - full[0]).max() < CLOSE * jnp.abs(full[0]).max()
    np.testing.assert_array_equal(rough[1], full[1])


def test_in_double_precision_products_are_rounded_and_results_are_double():
    with jax.enable_x64(True):
        network = hf.networks.MLP((2,), width=8, key=KEY)
        t, x = jnp.array(0.3), jnp.array([0.4, -1.2])
        rough, full = computing_in(network, "bfloat16")(t, x), network(t, x)
        assert rough.dtype == full.dtype == jnp.float64
        assert 0 < jnp.abs(rough - full).max() < CLOSE * jnp.abs(full).max()


def train(network: Any = "mlp", **settings):
    points = jax.random.normal(KEY, (32, 2)) + 1
    return hf.fit(
        network, "optimal-transport", points, prior="normal", key=KEY, progress=False,
        **{"steps": 30, "batch_size": 16, "ema": 0.0, **settings},
    )  # fmt: skip


def test_training_in_bfloat16_gives_a_flow_in_single_precision(tmp_path):
    flow, rough = train(compute="float32"), train(training={"compute": "bfloat16"})
    assert eqx.tree_equal(flow, train())
    x = jax.random.normal(KEY, (6, 2))
    log_p, exact = rough.log_prob(x), flow.log_prob(x)
    assert log_p.dtype == exact.dtype == jnp.float32
    assert 0 < jnp.abs(log_p - exact).max() < 0.1
    assert {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(rough, eqx.is_inexact_array))} == {
        jnp.dtype(jnp.float32)
    }
    rough.save(tmp_path / "rough.hiflow")
    found = hf.load(tmp_path / "rough.hiflow")
    np.testing.assert_array_equal(found.log_prob(x), log_p)


def test_a_precision_that_is_none_or_has_no_effect_is_refused():
    with pytest.raises(ValueError, match="`compute` must be one of auto, float32, bfloat16"):
        hf.Training(compute="float16")
    with pytest.raises(ValueError, match=r"FromVector.* has none"):
        train(hf.networks.FromVector(_Scaled(jnp.ones(2)), (2,)), compute="bfloat16")


class _Scaled(eqx.Module):
    weights: jax.Array

    def __call__(self, y):
        return self.weights * y[:2]
