"""The assignment, and the alignment that is made of it, on the host and compiled."""

import itertools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from hiflow import groups
from hiflow.couplings import assignment
from hiflow.groups import _assignment

RANDOM = np.random.default_rng(0)
SOLVERS = {"of this device": assignment, "of other devices": _assignment._compiled}
COSTS = {
    "normal": lambda *shape: RANDOM.normal(size=shape),
    "with many ties": lambda *shape: RANDOM.integers(0, 3, size=shape).astype(float),
    "one good row": lambda *shape: RANDOM.uniform(size=shape) + 1e3 * np.arange(shape[-1]),
}


def total(cost, columns):
    columns = np.asarray(columns)
    assert sorted(columns.tolist()) == list(range(len(cost)))
    return cost[np.arange(len(cost)), columns].sum()


@pytest.mark.parametrize("kind", COSTS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_no_permutation_costs_less(solver, kind, x64):
    for n in (1, 2, 3, 5):
        costs = COSTS[kind](6, n, n)
        found = jax.jit(jax.vmap(SOLVERS[solver]))(jnp.asarray(costs))
        for cost, columns in zip(costs, found, strict=True):
            least = min(total(cost, np.array(p)) for p in itertools.permutations(range(n)))
            assert total(cost, columns) == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("kind", COSTS)
def test_large_assignments_cost_what_scipys_do(kind):
    cost = COSTS[kind](512, 512).astype(np.float32)
    found = jax.jit(assignment)(jnp.asarray(cost))
    least = total(cost.astype(float), linear_sum_assignment(cost)[1])
    assert total(cost.astype(float), found) == pytest.approx(least, abs=1e-6, rel=1e-9)


def test_every_transformation_gives_the_same():
    costs = jnp.asarray(RANDOM.normal(size=(2, 3, 7, 7)))
    one_by_one = jnp.stack([jnp.stack([assignment(cost) for cost in some]) for some in costs])
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.vmap(assignment)))(costs), one_by_one)
    np.testing.assert_array_equal(jax.lax.map(jax.vmap(assignment), costs), one_by_one)

    def body(k, found):
        return found.at[k].set(jax.vmap(assignment)(costs[k]))

    looped = jax.jit(lambda: jax.lax.fori_loop(0, 2, body, jnp.zeros_like(one_by_one)))()
    np.testing.assert_array_equal(looped, one_by_one)


def test_no_gradient_goes_through_the_choice():
    cost = jnp.asarray(RANDOM.normal(size=(4, 4)))
    gradient = jax.grad(lambda c: c[jnp.arange(4), assignment(c)].sum())(cost)
    np.testing.assert_array_equal(gradient, jax.nn.one_hot(assignment(cost), 4))


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_a_cost_that_is_not_finite_is_refused(bad):
    with pytest.raises(Exception, match="assignment: a cost isn't finite"):
        jax.block_until_ready(jax.jit(assignment)(jnp.ones((3, 3)).at[1, 2].set(bad)))


ONE_CORE = """
import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, jax.numpy as jnp
from hiflow.couplings import assignment
cost = jax.random.uniform(jax.random.key(0), (2048, 2048))
print(jax.jit(assignment)(cost).shape)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores can't be chosen here")
def test_one_core_is_enough():
    """Compiled code that calls back may wait for itself where it has a single thread."""
    found = subprocess.run(
        [sys.executable, "-c", ONE_CORE], capture_output=True, text=True, timeout=240, check=False
    )
    assert found.stdout == "(2048,)\n", found.stderr


PARTICLES = {
    "permutations and turns": (groups.Permutation(), groups.Rotation(3)),
    "turns, mirrors and permutations": (groups.Rotation(3, reflections=True), groups.Permutation()),
    "two species": (groups.Permutation(tuple("AABBBB")), groups.Rotation(3)),
    "permutations": (groups.Permutation(),),
}


@pytest.mark.parametrize("name", PARTICLES)
def test_alignment_is_the_same_on_the_host_and_compiled(name, x64):
    group = groups.Product(PARTICLES[name])
    x, y = (jnp.asarray(RANDOM.normal(size=(12, 6, 3))) for _ in range(2))
    on_host, compiled = (jax.jit(jax.vmap(f))(x, y) for f in (group.align, group._compiled))
    for a, b in zip(on_host, compiled, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, atol=1e-9)


def _distances(x):
    """Of all pairs, sorted: no turn, shift or order changes them."""
    first, second = np.triu_indices(x.shape[-2], 1)
    return np.sort(np.linalg.norm(x[..., first, :] - x[..., second, :], axis=-1), axis=-1)


def test_one_event_is_aligned_to_many_in_double_precision(x64):
    group = groups.Product((groups.Permutation(), groups.Rotation(2), groups.Translation()))
    x, y = jnp.asarray(RANDOM.normal(size=(5, 2))), jnp.asarray(RANDOM.normal(size=(3, 4, 5, 2)))

    def near(goal):
        return group.act(group.align(x, goal), x)

    one_by_one = jnp.stack([jnp.stack([near(goal) for goal in some]) for some in y])
    # Loops run in threads that don't know of double precision.
    together = jax.jit(lambda: jax.lax.map(jax.vmap(near), y))()
    np.testing.assert_allclose(together, one_by_one, rtol=0, atol=1e-12)
    expected = np.broadcast_to(_distances(x), (3, 4, 10))
    np.testing.assert_allclose(_distances(together), expected, rtol=0, atol=1e-12)
