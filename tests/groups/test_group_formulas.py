"""Every group's action, tangents and null modes as explicit matrices, written in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation as SciPyRotation

from hiflow import groups
from hiflow.groups import linear_part, reference_measure

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 3)) + 1
KEY = jax.random.key(0)


def _acts(group, g, x):
    return np.asarray(group.act(g, jnp.asarray(x)))


def test_the_trivial_group_does_nothing(x64):
    np.testing.assert_array_equal(_acts(groups.Trivial(), (), X), X)


def test_a_permutation_is_its_matrix(x64):
    g, h = np.array([2, 0, 3, 1]), np.array([1, 0, 2, 3])
    P, R = np.zeros((4, 4)), np.zeros((4, 4))
    P[np.arange(4), g] = R[np.arange(4), h] = 1
    group = groups.Permutation()
    np.testing.assert_allclose(_acts(group, jnp.asarray(g), X), P @ X)
    np.testing.assert_allclose(_acts(group, group.inverse(jnp.asarray(g)), X), P.T @ X)
    product = group.compose(jnp.asarray(g), jnp.asarray(h))
    np.testing.assert_allclose(_acts(group, product, X), P @ R @ X)


@pytest.mark.parametrize("reflections", [False, True])
def test_a_rotation_is_its_matrix(reflections, x64):
    group = groups.Rotation(3, reflections=reflections)
    g, h = (np.asarray(group.sample(jax.random.key(k), (4, 3)), np.float64) for k in (0, 1))
    np.testing.assert_allclose(g @ g.T, np.eye(3), atol=1e-6)
    flat = np.kron(np.eye(4), g) @ X.ravel()
    np.testing.assert_allclose(_acts(group, jnp.asarray(g), X).ravel(), flat)
    np.testing.assert_allclose(group.inverse(jnp.asarray(g)), g.T)
    np.testing.assert_allclose(group.compose(jnp.asarray(g), jnp.asarray(h)), g @ h)


def test_a_translation_is_a_sum_whose_projector_removes_the_mean(x64):
    group, g = groups.Translation(), np.array([0.5, -2.0, 1.0])
    np.testing.assert_allclose(_acts(group, jnp.asarray(g), X), X + g)
    np.testing.assert_allclose(_acts(group, group.inverse(jnp.asarray(g)), X), X - g)
    N = np.kron(np.ones((4, 1)) / 2, np.eye(3))
    np.testing.assert_allclose(group.null_modes(jnp.asarray(X)), N)
    projected = (np.eye(12) - N @ N.T) @ X.ravel()
    np.testing.assert_allclose(group.project(jnp.asarray(X)).ravel(), projected)
    np.testing.assert_allclose(linear_part(group, jnp.asarray(g), jnp.asarray(X)), X, atol=1e-12)


def test_tangents_of_rotations_are_the_antisymmetric_generators(x64):
    found = np.asarray(groups.Rotation(3).tangents(jnp.asarray(X)))
    expected = []
    for i in range(3):
        for j in range(i):
            generator = np.zeros((3, 3))
            generator[i, j], generator[j, i] = 1, -1
            expected.append((X @ generator.T).ravel())
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-9)


def test_a_product_applies_its_factors_in_turn(x64):
    group = groups.Product((groups.Permutation(), groups.Rotation(3), groups.Translation()))
    (p, R, t), (q, S, u) = (group.sample(jax.random.key(k), (4, 3)) for k in (0, 1))
    p, R, t, q, S, u = (np.asarray(part) for part in (p, R, t, q, S, u))
    once = X[q] @ S.T + u
    twice = once[p] @ R.T + t
    g, h = ((jnp.asarray(a), jnp.asarray(b), jnp.asarray(c)) for a, b, c in ((p, R, t), (q, S, u)))
    np.testing.assert_allclose(_acts(group, h, X), once, rtol=1e-6)
    np.testing.assert_allclose(_acts(group, group.compose(g, h), X), twice, rtol=1e-5, atol=1e-6)
    back = _acts(group, group.inverse(g), twice)
    np.testing.assert_allclose(back, once, rtol=1e-5, atol=1e-6)
    found = linear_part(group, g, jnp.asarray(X))
    np.testing.assert_allclose(found, X[p] @ R.T, rtol=1e-6, atol=1e-9)
    centred = X - X.mean(0)
    np.testing.assert_allclose(group.project(jnp.asarray(X)), centred, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_turns_of_an_image_are_those_of_numpy(order, x64):
    image = RANDOM.normal(size=(3, 3))
    turns = [np.rot90(image, k * 4 // order) for k in range(order)]
    mirrored = [np.rot90(image[:, ::-1], k * 4 // order) for k in range(order)]
    for group, orbit in (
        (groups.Cyclic(order), turns),
        (groups.Dihedral(order), turns + mirrored),
    ):
        for g, expected in enumerate(orbit):
            np.testing.assert_array_equal(_acts(group, jnp.asarray(g), image), expected)
            there = _acts(group, group.inverse(jnp.asarray(g)), expected)
            np.testing.assert_array_equal(there, image)


def test_a_representation_is_all_products_of_its_generators(x64):
    turn, flip = np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, -1.0]])
    group = groups.LinearRepresentation(np.stack([turn, flip]))
    expected = {
        tuple(np.round(np.linalg.matrix_power(turn, k) @ f, 6).ravel() + 0.0)
        for k in range(4)
        for f in (np.eye(2), flip)
    }
    found = {tuple(np.round(matrix, 6).ravel() + 0.0) for matrix in group.matrices}
    assert found == expected
    x = RANDOM.normal(size=2)
    for g, matrix in enumerate(group.matrices):
        np.testing.assert_allclose(_acts(group, jnp.asarray(g), x), matrix @ x, rtol=1e-9)


def test_a_rotation_aligns_as_scipys_does(x64):
    y = RANDOM.normal(size=(4, 3))
    expected = SciPyRotation.align_vectors(y, X)[0]
    found = groups.Rotation(3).align(jnp.asarray(X), jnp.asarray(y))
    np.testing.assert_allclose(found, expected.as_matrix(), atol=1e-6)


def test_a_permutation_aligns_as_scipys_assignment(x64):
    y = RANDOM.normal(size=(4, 3))
    cost = np.sum((y[:, None] - X[None]) ** 2, axis=-1)
    _, columns = linear_sum_assignment(cost)
    found = groups.Permutation().align(jnp.asarray(X), jnp.asarray(y))
    np.testing.assert_array_equal(found, columns)
    # With species, the best of those that keep them.
    unlike = np.array([0, 1, 0, 1])
    _, columns = linear_sum_assignment(cost + 1e6 * (unlike[:, None] != unlike[None]))
    found = groups.Permutation(("A", "B", "A", "B")).align(jnp.asarray(X), jnp.asarray(y))
    np.testing.assert_array_equal(found, columns)


@pytest.mark.parametrize(
    ("group", "free"),
    [(groups.Trivial(), 12), (groups.Rotation(3), 12), (groups.Translation(), 9)],
)
def test_the_measure_counts_the_free_directions(group, free):
    assert str(free) in reference_measure(group, (4, 3))
    rank = np.linalg.matrix_rank(
        np.stack(
            [np.asarray(group.project(jnp.asarray(e.reshape(4, 3)))).ravel() for e in np.eye(12)]
        )
    )
    assert rank == free == 12 - group.null_modes(jnp.asarray(X)).shape[1]
