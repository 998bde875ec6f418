"""Every coupling against SciPy's assignment and a search over all elements of a group."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from hiflow import couplings, groups, priors

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


def _squares(x, y):
    return np.sum((x[:, None] - y[None]).reshape(len(x), len(y), -1) ** 2, axis=-1)


def _least(cost):
    return cost[linear_sum_assignment(cost)].sum()


def _total(pairs):
    x0, x1 = map(np.asarray, pairs)
    return np.sum((x0 - x1) ** 2)


def _batches(n, *shape):
    return RANDOM.normal(size=(n, *shape)), RANDOM.normal(size=(n, *shape)) * 2 + 1


def _pair(coupling, x0, x1):
    return jax.jit(coupling)(jnp.asarray(x0), jnp.asarray(x1), KEY)


def test_independent_pairs_stay_as_they_come(x64):
    x0, x1 = _batches(4, 2)
    found = couplings.Independent()(jnp.asarray(x0), jnp.asarray(x1), KEY)
    np.testing.assert_array_equal(found, (x0, x1))


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 2)])
def test_minibatch_ot_costs_what_scipys_assignment_costs(shape, x64):
    x0, x1 = _batches(12, *shape)
    found = _pair(couplings.MinibatchOT(), x0, x1)
    np.testing.assert_allclose(_total(found), _least(_squares(x1, x0)), rtol=1e-9)
    np.testing.assert_array_equal(found[1], x1)
    np.testing.assert_array_equal(np.sort(found[0].ravel()), np.sort(x0.ravel()))


def test_squared_distances_are_those_of_all_pairs(x64):
    x, y = RANDOM.normal(size=(3, 2, 2)), RANDOM.normal(size=(5, 2, 2))
    found = couplings.squared_distances(jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(found, _squares(x, y), rtol=1e-9)


def _all_turns(x):
    """All quarter turns and mirror images of an image."""
    return np.stack([np.rot90(y, k) for y in (x, x[:, ::-1]) for k in range(4)])


def test_aligned_samples_are_the_nearest_of_their_orbit(x64):
    x0, x1 = _batches(5, 3, 3)
    found, _ = _pair(couplings.SymmetryAligned(groups.Dihedral(4)), x0, x1)
    for one, a, b in zip(found, x0, x1, strict=True):
        orbit = _all_turns(a)
        expected = orbit[np.argmin(np.sum((orbit - b) ** 2, axis=(1, 2)))]
        np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize("block", [None, 4])
def test_equivariant_ot_costs_the_assignment_of_least_distances_of_orbits(block, x64):
    x0, x1 = _batches(8, 3, 3)
    found = _pair(couplings.EquivariantOT(groups.Dihedral(4), block=block), x0, x1)
    cost = np.array([[np.sum((_all_turns(a) - b) ** 2, axis=(1, 2)).min() for a in x0] for b in x1])
    size = block or 8
    parts = [cost[i : i + size, i : i + size] for i in range(0, 8, size)]
    np.testing.assert_allclose(_total(found), sum(map(_least, parts)), rtol=1e-9)


def test_precomputed_pairs_cost_the_assignment_of_the_whole_set(x64):
    points = RANDOM.normal(size=(4, 2)) * 3
    prior = priors.Normal(2)
    made = couplings.Precomputed(per_point=3).prepare(prior, jnp.asarray(points), KEY)
    pool = np.asarray(made.pool).reshape(12, 2)
    repeated = np.repeat(points, 3, axis=0)
    np.testing.assert_allclose(
        _total((pool, repeated)), _least(_squares(repeated, pool)), rtol=1e-9
    )
    found, _ = made(jnp.zeros((4, 2)), jnp.asarray(points[::-1].copy()), KEY)
    for one, own in zip(np.asarray(found), np.asarray(made.pool)[::-1], strict=True):
        assert (own == one).all(axis=1).any()
