"""Compiled programs: shared by what is alike, let go with what they were for, and not used in forks."""

import gc
import subprocess
import sys
import weakref

import jax
import jax.numpy as jnp
import pytest
from jax.extend import backend

import hiflow as hf
from hiflow._programs import compiled, measured

KEY = jax.random.key(0)
POINTS = jax.random.normal(KEY, (20, 2))


def traced():
    """A function that says how often it was traced, and the list of what it was traced with."""
    seen = []

    @compiled()
    def apply(function, x, name):
        seen.append(name)
        return function(x)

    return apply, seen


def test_what_differs_in_its_arrays_alone_is_compiled_once():
    apply, seen = traced()
    for scale in (1.0, 2.0):
        energy = hf.energies.Gaussian(jnp.zeros(2), scale * jnp.eye(2))
        assert apply(energy, jnp.ones(2), "a") == energy(jnp.ones(2))
    assert seen == ["a"]
    apply(energy, jnp.ones(2), "b")
    apply(energy, jnp.ones((2,), jnp.float16), "b")
    assert seen == ["a", "b", "b"]


def test_values_that_are_equal_but_of_other_types_are_apart():
    apply, seen = traced()

    def same(x):
        return x

    for value in (1, True):
        assert apply(same, jnp.ones(()), value) == 1
    assert [type(each) for each in seen] == [int, bool]


def test_methods_of_one_object_share_a_program():
    apply, seen = traced()

    class Scale:
        def by_two(self, x):
            return 2 * x

    scale = Scale()
    for _ in range(2):
        assert apply(scale.by_two, jnp.ones(()), "a") == 2
    assert seen == ["a"]


def test_programs_call_each_other():
    @compiled()
    def outer(function, x):
        return inner(lambda y: function(y) + 1, x) + function(x)

    @compiled()
    def inner(function, x):
        return function(2 * x)

    assert outer(lambda x: 3 * x, jnp.asarray(1.0)) == 3 * 2 + 1 + 3


def fit(scale):
    """With an energy that is written anew, as in a notebook's cell or a loop over variants."""

    def energy(x):
        return scale * jnp.sum(x**2) / 2

    with_it = hf.energies.FunctionEnergy(energy, shape=(2,))
    points = hf.data.sample(
        with_it, key=KEY, size=16, chains=4, burn_in=10, thin=1, progress=False
    ).points
    flow = hf.fit(
        hf.networks.MLP(shape=(2,), width=4, depth=1, key=KEY),
        hf.paths.Langevin(energy=with_it, hessian=hf.hessians.Dense()),
        points[:8],
        prior=hf.priors.Normal(shape=(2,)),
        key=KEY,
        steps=2,
        batch_size=4,
        progress=False,
    )
    hf.metrics.importance_sample(flow, with_it, key=KEY, size=4, steps=2)
    return weakref.ref(energy)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # So few updates don't reach equilibrium.
def test_nothing_of_an_energy_is_kept_after_its_run():
    fit(1.0)
    gc.collect()
    programs = len(backend.get_backend().live_executables())
    energies = [fit(scale) for scale in (2.0, 3.0)]
    gc.collect()
    assert [energy() for energy in energies] == [None, None]
    assert len(backend.get_backend().live_executables()) == programs


FORKING = """
import multiprocessing
import jax
import jax.numpy as jnp
import hiflow as hf

def density(x):
    return float(hf.Flow(PRIOR, NETWORK, hf.Solver(steps=2)).log_prob(x))

PRIOR = hf.priors.Normal(shape=(2,))
NETWORK = hf.networks.MLP(shape=(2,), width=4, depth=1, key=jax.random.key(0))
density(jnp.zeros(2))
with multiprocessing.get_context("fork").Pool(1) as pool:
    pool.map(density, [jnp.zeros(2)])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
def test_a_forked_process_says_that_it_would_hang():
    command = [sys.executable, "-W", "ignore", "-c", FORKING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "Start workers by multiprocessing.get_context('spawn')" in done.stderr


def test_a_measured_program_says_what_it_holds_and_is_compiled_once():
    seen = []

    @compiled(donate=(1,))
    def added(x, y):
        seen.append(x.shape)
        return x + y

    x = jnp.ones(1000)
    with measured() as needs:
        added(x, jnp.ones(1000))
        added(x[:10], jnp.ones(10))
    added(x, jnp.ones(1000))
    assert seen == [(1000,), (10,)]
    # Two arguments, of which one becomes the result; and of the larger of the two programs.
    assert needs == {"added": 2 * 4 * 1000}


def test_where_the_backend_says_nothing_of_memory_nothing_is_said(monkeypatch):
    monkeypatch.setattr(jax.stages.Compiled, "memory_analysis", lambda _: None)
    with measured() as needs:
        compiled()(lambda x: x)(jnp.ones(3))
    assert list(needs.values()) == [None]
