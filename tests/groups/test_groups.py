"""The laws of every group, over random elements and events."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiflow.groups import Permutation, Product, Rotation, Translation, Trivial, registry

EUCLIDEAN = Product((Permutation(), Rotation(3, reflections=True), Translation()))
GROUPS = [
    Trivial(),
    Translation(),
    Rotation(3),
    Rotation(3, reflections=True),
    Permutation(),
    EUCLIDEAN,
    Product((Translation(), Rotation(3))),
    Product((Trivial(), Translation())),
    Product(()),
]
SHAPE = (5, 3)


def label(group):
    return type(group).__name__ + "-" + repr(group)


def elements(group, seed):
    keys = jax.random.split(jax.random.key(seed), 4)
    g, h, k = (group.sample(key, SHAPE) for key in keys[:3])
    return g, h, k, jax.random.normal(keys[3], SHAPE)


def close(a, b):
    np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("group", GROUPS, ids=label)
@given(seed=st.integers(0, 2**20))
def test_composition_acts_as_successive_actions(group, seed):
    g, h, k, x = elements(group, seed)
    close(group.act(group.compose(g, h), x), group.act(g, group.act(h, x)))
    left, right = group.compose(group.compose(g, h), k), group.compose(g, group.compose(h, k))
    close(group.act(left, x), group.act(right, x))


@pytest.mark.parametrize("group", GROUPS, ids=label)
@given(seed=st.integers(0, 2**20))
def test_inverse_undoes_the_action_from_either_side(group, seed):
    g, _, _, x = elements(group, seed)
    close(group.act(group.inverse(g), group.act(g, x)), x)
    close(group.act(g, group.act(group.inverse(g), x)), x)
    close(group.act(group.compose(g, group.inverse(g)), x), x)


@pytest.mark.parametrize("group", GROUPS, ids=label)
@given(seed=st.integers(0, 2**20))
def test_action_keeps_distances(group, seed):
    g, _, _, x = elements(group, seed)
    y = jax.random.normal(jax.random.key(seed + 1), SHAPE)
    distance = jnp.linalg.norm(group.act(g, x) - group.act(g, y))
    close(distance, jnp.linalg.norm(x - y))


@pytest.mark.parametrize("group", GROUPS, ids=label)
@given(seed=st.integers(0, 2**20))
def test_projection_is_idempotent_and_commutes_with_the_linear_part(group, seed):
    g, _, _, x = elements(group, seed)
    close(group.project(group.project(x)), group.project(x))
    linear = lambda y: group.act(g, y) - group.act(g, jnp.zeros(SHAPE))  # noqa: E731
    close(group.project(linear(x)), linear(group.project(x)))


@pytest.mark.parametrize("group", GROUPS, ids=label)
def test_null_modes_are_an_orthonormal_basis_of_what_projection_removes(group):
    x = jax.random.normal(jax.random.key(3), SHAPE)
    modes = group.null_modes(x)
    close(modes.T @ modes, jnp.eye(modes.shape[1]))
    close((modes @ (modes.T @ x.ravel())).reshape(SHAPE), x - group.project(x))


@pytest.mark.parametrize("group", GROUPS, ids=label)
def test_elements_can_be_drawn_in_batches(group):
    keys = jax.random.split(jax.random.key(0), 7)
    g = jax.vmap(lambda key: group.sample(key, SHAPE))(keys)
    x = jax.random.normal(jax.random.key(1), (7, *SHAPE))
    assert jax.vmap(group.act)(g, x).shape == x.shape


def test_rotations_are_proper_unless_reflections_are_asked_for():
    keys = jax.random.split(jax.random.key(0), 200)
    proper = jax.vmap(lambda key: Rotation(3).sample(key, SHAPE))(keys)
    close(jnp.linalg.det(proper), jnp.ones(200))
    full = jax.vmap(lambda key: Rotation(3, reflections=True).sample(key, SHAPE))(keys)
    assert 60 < int((jnp.linalg.det(full) < 0).sum()) < 140


@pytest.mark.parametrize("reflections", [False, True])
def test_rotations_are_haar_distributed(reflections):
    # Under Haar measure a fixed vector goes to a uniform one, and entries are uncorrelated.
    keys = jax.random.split(jax.random.key(0), 20_000)
    g = jax.vmap(lambda key: Rotation(3, reflections).sample(key, (3,)))(keys).reshape(-1, 9)
    np.testing.assert_allclose(g.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(g.T @ g / len(g), np.eye(9) / 3, atol=0.02)


def test_rotation_acts_on_a_single_point():
    g = Rotation(2).sample(jax.random.key(0), (2,))
    close(Rotation(2).act(g, jnp.array([1.0, 0.0])), g[:, 0])


def test_euclidean_group_is_a_semidirect_product():
    # A componentwise product would add the shifts; here the second is turned by the first rotation.
    turn = jnp.array([[0.0, -1.0], [1.0, 0.0]])
    group = Product((Rotation(2), Translation()))
    _, shift = group.compose((turn, jnp.array([1.0, 0.0])), (turn, jnp.array([1.0, 0.0])))
    close(shift, jnp.array([1.0, 1.0]))


def test_product_flattens_and_puts_translations_last():
    group = Product((Translation(), Product((Permutation(), Rotation(3)))))
    assert [type(factor).__name__ for factor in group.groups] == [
        "Permutation",
        "Rotation",
        "Translation",
    ]


def test_product_refuses_what_has_no_product():
    with pytest.raises(ValueError, match="may occur once"):
        Product((Rotation(3), Rotation(3)))
    with pytest.raises(ValueError, match="must be a sequence"):
        Product(Rotation(3))


def test_events_of_the_wrong_shape_are_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"\(particles, dim\)"):
        Translation().sample(key, (3,))
    with pytest.raises(ValueError, match="last axis has size 3"):
        Rotation(3).sample(key, (5, 2))
    with pytest.raises(ValueError, match="first axis"):
        Permutation().sample(key, ())
    with pytest.raises(ValueError, match="positive integer"):
        Rotation(0)


def test_registry_makes_every_group():
    assert registry.names() == ["permutation", "product", "rotation", "translation", "trivial"]
    made = registry.make(
        {"name": "product", "groups": ["translation", {"name": "rotation", "dim": 2}]}
    )
    assert made == Product((Rotation(2), Translation()))
    assert {registry.name_of(registry.make(name)) for name in ("trivial", "permutation")} == {
        "trivial",
        "permutation",
    }
