"""Internal coordinates: against geometry by hand, and the laws that they obey."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiflow.coordinates import angles, bond_lengths, torsions
from hiflow.groups import Rotation

RANDOM = np.random.default_rng(0)


def chain(angle, torsion):
    """Four particles with bonds of length 1, both angles and the torsion as given."""
    a = np.array([np.cos(angle), np.sin(angle), 0])
    d = np.array([-np.cos(angle), np.sin(angle) * np.cos(torsion), np.sin(torsion) * np.sin(angle)])
    return jnp.asarray([a, np.zeros(3), [1.0, 0, 0], d + np.array([1.0, 0, 0])])


@pytest.mark.parametrize("torsion", [-3.0, -1.2, -1e-4, 0.0, 0.5, 2.0, np.pi])
@pytest.mark.parametrize("angle", [1.0, 1.9, 2.6])
def test_a_molecule_built_from_its_coordinates_has_them(x64, angle, torsion):
    x = chain(angle, torsion)
    np.testing.assert_allclose(bond_lengths(x, [[0, 1], [1, 2], [2, 3]]), 1, atol=1e-12)
    np.testing.assert_allclose(angles(x, [[0, 1, 2], [1, 2, 3]]), angle, atol=1e-12)
    np.testing.assert_allclose(np.abs(torsions(x, [[0, 1, 2, 3]])), np.abs(torsion), atol=1e-9)
    # Seen from the second particle to the third, that is along the x axis, y to z is clockwise.
    np.testing.assert_allclose(np.sin(torsions(x, [[0, 1, 2, 3]])), np.sin(torsion), atol=1e-9)


@given(seed=st.integers(0, 50))
def test_shifts_and_turns_change_nothing_and_a_reflection_the_torsions_sign(seed):
    x = jnp.asarray(np.random.default_rng(seed).normal(size=(4, 3)), jnp.float32)
    turn = Rotation().sample(jax.random.key(seed), (4, 3))
    moved = Rotation().act(turn, x) + 1.0
    proper = np.sign(np.linalg.det(np.asarray(turn))) if np.ndim(turn) == 2 else 1.0
    for function, members in ((bond_lengths, [[0, 2]]), (angles, [[3, 1, 2]])):
        np.testing.assert_allclose(function(moved, members), function(x, members), atol=2e-3)
    before, after = (torsions(y, [[0, 1, 2, 3]]) for y in (x, moved))
    np.testing.assert_allclose(np.sin(after), proper * np.sin(before), atol=5e-3)
    np.testing.assert_allclose(torsions(-x, [[0, 1, 2, 3]]), -before, atol=1e-4)
    np.testing.assert_allclose(torsions(x, [[3, 2, 1, 0]]), before, atol=1e-4)


def test_a_batch_is_each_alone_and_vmap_is_the_same():
    x = jnp.asarray(RANDOM.normal(size=(3, 5, 3)))
    for function, members in (
        (bond_lengths, [[0, 1], [3, 4]]),
        (angles, [[0, 1, 2]]),
        (torsions, [[0, 1, 2, 3], [1, 2, 3, 4]]),
    ):
        each = jnp.stack([function(y, members) for y in x])
        np.testing.assert_allclose(function(x, members), each, atol=1e-6)
        np.testing.assert_allclose(
            jax.vmap(lambda y, f=function, m=members: f(y, m))(x), each, atol=1e-6
        )


@pytest.mark.parametrize("torsion", [0.0, np.pi, 1.0])
def test_gradients_are_those_of_differences(x64, torsion):
    x, v = chain(2.0, torsion) + 0.01 * RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(4, 3))
    for function, members in (
        (bond_lengths, [[0, 3]]),
        (angles, [[0, 1, 2]]),
        (torsions, [[0, 1, 2, 3]]),
    ):
        slope = jax.jvp(lambda y: function(y, members), (x,), (jnp.asarray(v),))[1]  # noqa: B023
        change = function(x + 1e-6 * v, members) - function(x - 1e-6 * v, members)
        np.testing.assert_allclose(slope, change / 2e-6, rtol=1e-5, atol=1e-7)


def test_where_there_is_no_torsion_the_gradient_is_finite():
    line = jnp.asarray([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 1, 0]])
    value, gradient = jax.value_and_grad(lambda x: torsions(x, [[0, 1, 2, 3]])[0])(line)
    assert value == 0
    assert jnp.isfinite(gradient).all()
    straight = jax.grad(lambda x: angles(x, [[0, 1, 2]])[0])(line)
    assert jnp.isfinite(straight).all()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([0, 1], r"shape \(k, 2\)"),
        ([[0, 1, 2]], r"shape \(k, 2\)"),
        ([[0.0, 1.0]], "whole numbers"),
        ([[0, 4]], "of 4 particles, 0 to 3"),
        ([[0, -1]], "of 4 particles"),
        ([[2, 2]], "2 different ones"),
    ],
)
def test_members_that_are_none_are_refused(members, message):
    with pytest.raises(ValueError, match=message):
        bond_lengths(jnp.zeros((4, 3)), members)


def test_torsions_are_in_space():
    with pytest.raises(ValueError, match="in space, got 2 dimensions"):
        torsions(jnp.zeros((4, 2)), [[0, 1, 2, 3]])
