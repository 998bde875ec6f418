"""What metrics refuse at their border, by the argument's name and before any work is spent."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow import metrics

KEY = jax.random.key(0)
WORD: Any = "x"
POINTS = jax.random.normal(KEY, (30, 2))
RING = hf.energies.Ring()
SAMPLES = metrics.equally_weighted(POINTS, RING)
EDGES = [np.linspace(-2, 2, 4)]


class Places(hf.energies.AbstractEnergy):
    """What a user gets who forgets to sum."""

    event_shape = (2,)
    group = hf.groups.Trivial()

    def __call__(self, x):
        return x**2


class NoDensity:
    """A flow whose samples no test may draw."""

    prior = hf.priors.Normal(2)

    def sample_and_log_prob(self, key, size, /, **settings):
        raise AssertionError("samples were drawn")

    def log_prob(self, x, /, **settings):
        raise AssertionError("a density was computed")


NO_FLOW = {
    "anneal": lambda bad: metrics.anneal(bad, RING, key=KEY, size=5),
    "importance_sample": lambda bad: metrics.importance_sample(bad, RING, key=KEY, size=5),
    "negative_log_likelihood": lambda bad: metrics.negative_log_likelihood(bad, POINTS),
    "held_out_score": lambda bad: metrics.held_out_score(bad, POINTS),
    "finish": lambda bad: hf.finish(bad, POINTS, validation=POINTS[:5], key=KEY),
}
NOT_WEIGHTED = {
    "free_energy_between": lambda bad: metrics.free_energy_between(
        bad, POINTS[:, 0] < 0, POINTS[:, 0] > 0
    ),
    "free_energy_of_heating": lambda bad: metrics.free_energy_of_heating(bad, 1.1),
    "free_energy_surface": lambda bad: metrics.free_energy_surface(bad, lambda x: x[0], EDGES),
    "ramachandran": lambda bad: metrics.ramachandran(bad, lambda x: x),
}


@pytest.mark.parametrize(
    "bad", ["x", None, 3, hf.Flow, RING, POINTS], ids=lambda bad: type(bad).__name__
)
@pytest.mark.parametrize("name", NO_FLOW)
def test_what_is_no_flow_is_refused(name, bad):
    with pytest.raises(ValueError, match=f"^{name}: `flow` must be a .*Flow.*; got "):
        NO_FLOW[name](bad)


@pytest.mark.parametrize(
    "bad", ["x", None, metrics.Weighted, POINTS], ids=lambda bad: type(bad).__name__
)
@pytest.mark.parametrize("name", NOT_WEIGHTED)
def test_what_is_no_weighted_samples_is_refused(name, bad):
    with pytest.raises(ValueError, match=f"^{name}: `weighted` must be weighted samples.*; got "):
        NOT_WEIGHTED[name](bad)


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.anneal(NoDensity(), Places(), key=KEY, size=5),
        lambda: metrics.importance_sample(NoDensity(), Places(), key=KEY, size=5),
        lambda: metrics.weigh(POINTS, jnp.zeros(30), Places()),
        lambda: metrics.equally_weighted(POINTS, Places()),
    ],
    ids=["anneal", "importance_sample", "weigh", "equally_weighted"],
)
def test_an_energy_that_is_no_number_is_refused_before_samples_are_drawn(call):
    with pytest.raises(
        ValueError, match=r"`energy` must map an event of shape .* to a float scalar"
    ):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SAMPLES.free_energy_difference(Places()), "`other` must give one number"),
        (lambda: SAMPLES.at_temperature(WORD), "`ratio` must be a positive number; got 'x'"),
        (lambda: SAMPLES.at_temperature(jnp.inf), "`ratio` must be a positive number"),
        (lambda: metrics.free_energy_of_heating(SAMPLES, -1.0), "`ratio` must be a positive number"),
        (lambda: SAMPLES.clipped(WORD), "`share` must be in \\[0, 1\\)"),
        (lambda: metrics.free_energy_surface(SAMPLES, lambda x: x[0], WORD), "`edges` must be"),
        (lambda: metrics.ramachandran(SAMPLES, lambda x: x, bins=0), "`bins` must be a whole number"),
        (lambda: metrics.energy_wasserstein(np.array([1.0, np.nan]), np.zeros(1)), "`energies` must"),
        (lambda: metrics.energy_wasserstein(np.zeros(1), WORD), "`reference` must be numbers"),
        (lambda: metrics.torus_wasserstein(POINTS[:, 0], POINTS, key=KEY), "`angles` must have shape"),
        (lambda: metrics.wasserstein(POINTS, POINTS, key=KEY, weights=WORD), "`weights` must be"),
        (lambda: metrics.standard_error(POINTS), "`values` must be numbers, one for each sample"),
        (lambda: metrics.held_out_score(WORD, POINTS), "`flow` must be a Flow"),
    ],
)  # fmt: skip
def test_other_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_infinite_energy_is_infinitely_far():
    assert metrics.energy_wasserstein(np.array([1.0, np.inf]), np.zeros(2)) == np.inf
