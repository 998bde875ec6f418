"""Maximum likelihood after training: its gradient, and that validation has the last word."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.training._finish import likelihood_loss

KEY = jax.random.key(0)
FEW = {"method": "Heun", "steps": 4}
POINTS = 0.5 * jax.random.normal(jax.random.key(5), (40, 2)) + jnp.array([1.0, -1.0])
OTHERS = 0.5 * jax.random.normal(jax.random.key(6), (30, 2)) + jnp.array([1.0, -1.0])


def flow_of(solver=FEW):
    network = hf.networks.MLP(shape=(2,), width=8, depth=1, key=jax.random.key(1))
    return hf.Flow(hf.priors.Normal(2), network, **solver)


def test_the_gradient_is_that_of_finite_differences(x64):
    flow = flow_of()
    weights, _ = eqx.partition(flow.network, eqx.is_inexact_array)
    weights = jax.tree.map(lambda leaf: leaf.astype(float), weights)
    leaves, structure = jax.tree.flatten(weights)
    keys = jax.random.split(jax.random.key(3), len(leaves))
    direction = jax.tree.unflatten(
        structure,
        [jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)],
    )
    x = POINTS[:3].astype(float)

    def along(h):
        moved = jax.tree.map(lambda w, d: w + h * d, weights, direction)
        return float(likelihood_loss(moved, flow, x, KEY))

    gradient = jax.grad(likelihood_loss)(weights, flow, x, KEY)
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: jnp.sum(g * d), gradient, direction)))
    np.testing.assert_allclose(slope, (along(1e-5) - along(-1e-5)) / 2e-5, rtol=1e-6)


def finished(flow, history, **keywords):
    given = {"learning_rate": 0.03, "batch_size": 20, "steps": 30, "validate_at": 10, **keywords}
    return hf.finish(
        flow, POINTS, validation=OTHERS, key=KEY, solver_settings=FEW, history=history, **given
    )


def nll(flow, x):
    return float(-flow.log_prob(x).mean())


def test_the_likelihood_rises_and_the_history_says_by_how_much():
    flow, history = flow_of(), hf.History()
    after = finished(flow, history)
    assert nll(after, OTHERS) < nll(flow, OTHERS) - 0.5
    assert [row["step"] for row in history.rows] == [0, 10, 20, 30]
    np.testing.assert_allclose(history.rows[0]["nll"], nll(flow, OTHERS), rtol=1e-5)
    best = min(history.column("nll"))
    np.testing.assert_allclose(nll(after, OTHERS), best, rtol=1e-5)
    assert (history.rows[-1]["best_nll"], history.rows[-1]["ended"]) == (best, "steps")
    assert eqx.tree_equal(after, finished(flow, hf.History()))


def test_a_flow_that_gets_no_better_is_returned_as_it_was():
    good, history = finished(flow_of(), None), hf.History()
    worse = {"learning_rate": 3.0, "validate_at": 1, "patience": 2, "steps": 9}
    after = finished(good, history, **worse)
    assert eqx.tree_equal(after, good)
    assert (history.rows[-1]["step"], history.rows[-1]["ended"]) == (2, "patience")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "finish: `steps` must be at least 1"),
        ({"learning_rate": -1.0}, "finish: `learning_rate` must be a positive number"),
        ({"patience": None}, "finish: `patience` must be at least 1"),
    ],
)
def test_wrong_settings_are_refused_by_name(change, words):
    with pytest.raises(ValueError, match=words):
        finished(flow_of(), None, **change)


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="finish: `data` must have shape"):
        hf.finish(flow_of(), POINTS[:, :1], validation=OTHERS[:, :1], key=KEY)
