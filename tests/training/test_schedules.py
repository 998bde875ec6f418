"""Learning rates that are schedules: they are Optax's, from Python and from a table."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

import hiflow as hf
from hiflow.training._optimiser import Scheduled
from hiflow.training._schedules import learning_rate

POINTS = jax.random.normal(jax.random.key(5), (40, 2))
COSINE = {"name": "cosine_decay_schedule", "init_value": 0.01, "decay_steps": 10, "alpha": 0.3}
SCHEDULE = optax.cosine_decay_schedule(0.01, 10, alpha=0.3)


def train(**settings):
    given: dict[str, Any] = {"steps": 12, "batch_size": 8, "progress": False, **settings}
    return hf.fit(
        hf.networks.MLP(shape=(2,), width=8, depth=1, key=jax.random.key(1)),
        "optimal-transport",
        POINTS,
        prior=hf.priors.Normal(2),
        key=jax.random.key(0),
        **given,
    )


@pytest.mark.parametrize(
    ("table", "schedule"),
    [
        (COSINE, SCHEDULE),
        (
            {
                "name": "piecewise_constant_schedule",
                "init_value": 0.01,
                "boundaries_and_scales": {"4": 0.5, "8": 0.1},
            },
            optax.piecewise_constant_schedule(0.01, {4: 0.5, 8: 0.1}),
        ),
    ],
)
def test_a_table_is_the_schedule_that_optax_makes_of_it(table, schedule):
    made = hf.Training(learning_rate=table).learning_rate
    assert callable(made)
    steps = np.arange(15)
    found, wanted = (np.asarray([f(int(s)) for s in steps]) for f in (made, schedule))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_schedule_goes_to_the_optimiser_as_it_is():
    own = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(SCHEDULE))
    by_hand = train(optimiser=own)
    assert eqx.tree_equal(by_hand, train(learning_rate=SCHEDULE))
    assert eqx.tree_equal(by_hand, train(learning_rate=COSINE))
    assert not eqx.tree_equal(by_hand, train(learning_rate=0.01))


def test_a_schedule_goes_on_where_a_run_is_extended(tmp_path):
    whole = train(learning_rate=COSINE, steps=12)
    train(learning_rate=COSINE, steps=6, checkpoint_dir=tmp_path / "run")
    longer = train(learning_rate=COSINE, checkpoint_dir=tmp_path / "run", resume=True)
    assert eqx.tree_equal(whole, longer)


def test_tables_that_are_alike_share_one_compiled_step():
    one, other = (learning_rate(dict(COSINE)) for _ in range(2))
    assert Scheduled("adam", one, 0, 1.0, 9) == Scheduled("adam", other, 0, 1.0, 9)
    assert (
        hf.Training(learning_rate=COSINE).identity()
        == hf.Training(learning_rate=dict(COSINE)).identity()
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learning_rate": {"name": "cosine"}}, r"`learning_rate` must have the `name` of one of"),
        (
            {"learning_rate": {"init_value": 1.0}},
            r"must have the `name` of one of Optax's schedules",
        ),
        ({"learning_rate": {**COSINE, "decay": 3}}, "which takes no 'decay'"),
        (
            {"learning_rate": {"name": "linear_schedule", "init_value": 1.0}},
            "which needs end_value, ",
        ),
        (
            {"learning_rate": lambda: 3},
            "must be a schedule of Optax, which gives a rate for a step",
        ),
        ({"learning_rate": lambda _: "a"}, "must be a schedule of Optax"),
        (
            {"learning_rate": lambda step: 0.1 if step < 5 else 0.01},
            "can be compiled: an `if` of the step's can't. Use jnp.where",
        ),
        ({"learning_rate": lambda _: POINTS}, "must give a rate from 0 to 1000 at every step"),
        ({"learning_rate": lambda _: -1.0}, "must give a rate from 0 to 1000 at every step"),
        (
            {"learning_rate": []},
            "`learning_rate` must be a positive number, at most 1000, or a schedule",
        ),
        (
            {"optimiser": optax.adam(1e-3), "learning_rate": 0.1, "clip": 3.0},
            "an `optimiser` of your own leaves `learning_rate`, `clip` without effect",
        ),
        (
            {"learning_rate": SCHEDULE, "warmup": 3},
            "a schedule as `learning_rate` leaves `warmup` without effect",
        ),
    ],
)
def test_what_is_no_schedule_or_has_no_effect_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        train(**settings)
