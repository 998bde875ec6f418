"""Whether a fixed number of the solver's steps is enough is looked at, and said."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import hiflow as hf
from hiflow import experiments
from hiflow.experiments._doubled import columns, doubled, doubt
from hiflow.experiments._page import page
from hiflow.networks import AbstractVelocityField

TOML = """
[energy]
name = "ring"
[data]
size = 100
test = 32
[network]
name = "mlp"
width = 8
depth = 1
[training]
steps = 2
batch_size = 8
validate_at = 2
[evaluation]
solver = "Euler"
steps = 2
[[arm]]
label = "OT-FM"
path = {name = "optimal-transport"}
"""


class Growing(AbstractVelocityField):
    """dx/dt = 4tx: a divergence of 8t, whose sum by Euler's n steps falls short of 4 by 4/n."""

    @property
    def event_shape(self):
        return (2,)

    @property
    def group(self):
        return hf.groups.Trivial()

    def __call__(self, t, x):
        return 4 * t * x


def test_the_change_is_that_of_twice_as_many_steps():
    flow = hf.Flow(hf.priors.Normal(2), Growing(), "Euler", steps=4)
    x = jax.random.normal(jax.random.key(0), (40, 2))
    before = flow.log_prob(x)
    found = doubled(flow, x, None, before.tolist())
    change = np.asarray(before - flow.log_prob(x, steps=8))[:8]
    assert found is not None
    np.testing.assert_allclose(found["doubled"], change.mean(), atol=1e-5)
    np.testing.assert_allclose(found["doubled_largest"], np.abs(change).max(), atol=1e-5)
    # Points at 0 stay there: the sum alone.
    still = doubled(flow, jnp.zeros((40, 2)), None, flow.log_prob(jnp.zeros((40, 2))).tolist())
    assert still is not None
    np.testing.assert_allclose(abs(still["doubled"]), 4 / 4 - 4 / 8, rtol=1e-4)
    words = doubt({"label": "a", **still})
    assert words is not None
    assert "4 steps of the solver are too few" in words


def test_of_tolerances_few_points_and_probes_nothing_is_said():
    flow = hf.Flow(hf.priors.Normal(2), Growing())
    x = jnp.zeros((40, 2))
    for settings, n in (
        ({}, 40),
        ({"steps": 2}, 31),
        ({"steps": 2, "divergence": "hutchinson"}, 40),
    ):
        assert doubled(flow.with_settings(**settings), x[:n], None, [0.0] * n) is None
    assert doubt({"label": "a", **columns([None])}) is None
    small = {"solver_steps": 9, "doubled": 0.01, "doubled_largest": 0.2}
    assert doubt({"label": "a", **columns([small, None])}) is None


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("doubled")
    (place / "a.toml").write_text(TOML)
    quiet = Console(quiet=True)
    found = experiments.train(experiments.read(place / "a.toml"), place / "run", console=quiet)
    return place / "run", found


def test_a_comparison_tells_the_change_and_keeps_it(run):
    place, found = run
    (row,) = found.rows()
    assert row["solver_steps"] == 2
    assert (place / "seed-0/ot-fm/doubled.json").is_file()
    again = experiments.compare([place], console=Console(quiet=True)).rows()[0]
    assert (again["doubled"], again["doubled_largest"]) == (row["doubled"], row["doubled_largest"])
    assert "steps doubled" in page(found, [])


def test_the_console_and_the_page_say_that_steps_are_too_few(run):
    _, found = run
    found.members[0].doubled = {"solver_steps": 2, "doubled": 3.0, "doubled_largest": 20.0}
    out = io.StringIO()
    experiments.show(found, Console(file=out, width=200))
    for text in (out.getvalue(), page(found, [])):
        assert "OT-FM: 2 steps of the solver are too few. By twice as many" in text
        assert "+3.00 nats" in text
