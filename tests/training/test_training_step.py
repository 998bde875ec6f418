"""What `fit` does to the weights, against a loop that is written out, in double precision.

One data point, one prior sample and fixed times: every batch is the same, so the loop needs no draws.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array, Float, PRNGKeyArray

import hiflow as hf

X0, X1 = np.array([0.4, -1.1]), np.array([1.3, 0.6])
T = np.array([0.1, 0.35, 0.8, 0.95])
WEIGHTS = np.array([0.3, 2.0, 1.1, 0.6])
PEAK = 0.02
# A prior of one point has no width, from which all data are far.
pytestmark = pytest.mark.filterwarnings("ignore::hiflow.ScaleWarning")


class OnePoint(hf.priors.AbstractPrior):
    """All of the prior in one point."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def group(self) -> hf.groups.Trivial:
        return hf.groups.Trivial()

    def sample(self, key: PRNGKeyArray) -> Float[Array, " dim"]:
        return jnp.asarray(X0)

    def log_prob(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        return -jnp.sum(x**2) / 2


class SameTimes(hf.time_samplers.AbstractTimeSampler):
    """The same times and weights in every batch."""

    def __call__(self, key: PRNGKeyArray, n: int) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        return jnp.asarray(T), jnp.asarray(WEIGHTS)


def rate(step, steps, warmup):
    """Linearly up to the peak, then along a cosine down to 1 % of it."""
    if step < warmup:
        return PEAK * step / warmup
    share = (step - warmup) / (steps - warmup)
    return PEAK * (0.01 + 0.99 * (1 + np.cos(np.pi * share)) / 2)


def loss(network):
    x = (1 - T[:, None]) * X0 + T[:, None] * X1
    velocity = jax.vmap(network)(jnp.asarray(T), jnp.asarray(x))
    return jnp.sum(WEIGHTS[:, None] * (velocity - (X1 - X0)) ** 2) / (4 * 2)


def clipped(gradient, largest):
    norm = np.sqrt(sum(np.sum(np.asarray(g) ** 2) for g in jax.tree.leaves(gradient)))
    assert norm > largest, "the test would not see the clipping"
    return jax.tree.map(lambda g: g * largest / norm, gradient)


def written_out(network, direction, *, steps, warmup, clip, ema):
    """Averaged weights, last weights, and the mean of the losses."""
    value_and_grad = eqx.filter_jit(eqx.filter_value_and_grad(loss))
    average, memory, losses = network, direction.init(eqx.filter(network, eqx.is_array)), []
    for step in range(steps):
        value, gradient = value_and_grad(network)
        update, memory = direction.update(clipped(gradient, clip), memory)
        eta = rate(step, steps, min(warmup, steps // 2))
        network = eqx.apply_updates(network, jax.tree.map(lambda u, eta=eta: -eta * u, update))
        decay = min(ema, (1 + step) / (10 + step))
        average = jax.tree.map(
            lambda old, new, decay=decay: (
                decay * old + (1 - decay) * new if eqx.is_array(old) else old
            ),
            average,
            network,
        )
        losses.append(float(value))
    return average, network, np.mean(losses)


def _directions(optimiser):
    return {"adam": optax.scale_by_adam(), "sgd": optax.identity()}[optimiser]


@pytest.mark.parametrize(
    ("steps", "warmup", "optimiser", "clip", "ema"),
    [
        (1, 3, "adam", 0.05, 0.2),
        (2, 0, "adam", 0.05, 0.999),
        (5, 3, "adam", 0.05, 0.0),
        (12, 5, "adam", 0.05, 0.2),
        (12, 5, "sgd", 0.5, 0.0),
        (5, 1, "sgd", 0.5, 0.999),
    ],
)
def test_training_is_plain_optax(steps, warmup, optimiser, clip, ema, x64):
    network = hf.networks.MLP((2,), width=4, depth=1, key=jax.random.key(1))
    settings = {"steps": steps, "warmup": warmup, "clip": clip, "ema": ema}
    average, last, mean_loss = written_out(network, _directions(optimiser), **settings)
    rows = []
    flow = hf.fit(
        network,
        hf.paths.OptimalTransport(),
        jnp.asarray(X1)[None],
        prior=OnePoint(),
        key=jax.random.key(0),
        batch_size=4,
        time_sampler=SameTimes(),
        learning_rate=PEAK,
        optimiser=optimiser,
        callbacks=[rows.append],
        progress=False,
        **settings,
    )
    expected = average if ema > 0 else last
    for found, wanted in zip(*map(_arrays, (flow.network, expected)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(rows[-1]["loss"], mean_loss, rtol=1e-6)
    assert ema == 0 or not all(map(np.array_equal, _arrays(average), _arrays(last)))


def _arrays(network):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array))]


def test_a_transformation_of_ones_own_replaces_schedule_and_clipping(x64):
    network = hf.networks.MLP((2,), width=4, depth=1, key=jax.random.key(1))
    flow = hf.fit(
        network,
        hf.paths.OptimalTransport(),
        jnp.asarray(X1)[None],
        prior=OnePoint(),
        key=jax.random.key(0),
        batch_size=4,
        steps=2,
        time_sampler=SameTimes(),
        optimiser=optax.sgd(0.1),
        ema=0.0,
        progress=False,
    )
    for _ in range(2):
        gradient = eqx.filter_grad(loss)(network)
        network = eqx.apply_updates(network, jax.tree.map(lambda g: -0.1 * g, gradient))
    for found, wanted in zip(*map(_arrays, (flow.network, network)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
