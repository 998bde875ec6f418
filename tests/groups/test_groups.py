"""The laws of every group, over random elements and events."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from built_in import own
from hiflow.groups import (
    Cyclic,
    Dihedral,
    LinearRepresentation,
    Permutation,
    Product,
    Rotation,
    Translation,
    Trivial,
    reference_measure,
    registry,
)
from hiflow.testing import check_group

EUCLIDEAN = Product((Permutation(), Rotation(3, reflections=True), Translation()))
GROUPS = [
    Trivial(),
    Translation(),
    Rotation(3),
    Rotation(3, reflections=True),
    Permutation(),
    Permutation(species=("O", "H", "H", "O", "H")),
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
    assert {
        "cyclic", "dihedral", "linear-representation", "permutation", "product", "rotation",
        "translation", "trivial",
    } <= set(own(registry))  # fmt: skip
    made = registry.make(
        {"name": "product", "groups": ["translation", {"name": "rotation", "dim": 2}]}
    )
    assert made == Product((Rotation(2), Translation()))
    assert {registry.name_of(registry.make(name)) for name in ("trivial", "permutation")} == {
        "trivial",
        "permutation",
    }


SPECIES = (1, 0, 0, 1, 0)
COS, SIN = np.cos(0.4 * np.pi), np.sin(0.4 * np.pi)
TURN = np.array([[COS, -SIN], [SIN, COS]])
FINITE = [
    (Cyclic(), (4, 4), 4),
    (Cyclic(2), (3, 5), 2),
    (Cyclic(axes=(0, 1)), (4, 4, 2), 4),
    (Dihedral(), (2, 4, 4), 8),
    (Dihedral(1), (3, 4), 2),
    (LinearRepresentation(TURN), (2,), 5),
    (LinearRepresentation([TURN, np.diag([1.0, -1.0])]), (2,), 10),
]


@pytest.mark.parametrize(("group", "shape", "order"), FINITE, ids=lambda v: type(v).__name__)
def test_finite_group_obeys_its_laws_and_has_its_order(group, shape, order, x64):
    check_group(group, shape)
    x = jax.random.normal(jax.random.key(0), shape)
    orbit = np.unique(np.round(np.asarray(group.orbit(x)).reshape(order, -1), 6), axis=0)
    assert orbit.shape[0] == group.table.shape[0] == order


@pytest.mark.parametrize(("group", "shape", "order"), FINITE, ids=lambda v: type(v).__name__)
def test_finite_group_is_drawn_evenly_and_aligns_at_best(group, shape, order):
    draws = jax.vmap(lambda k: group.sample(k, shape))(jax.random.split(jax.random.key(0), 4000))
    counts = np.bincount(draws, minlength=order)
    assert np.abs(counts - 4000 / order).max() < 5 * np.sqrt(4000 / order)
    x, y = jax.random.normal(jax.random.key(1), (2, *shape))
    reached = jnp.sum((group.act(group.align(x, y), x) - y) ** 2)
    best = min(float(jnp.sum((group.act(jnp.asarray(g), x) - y) ** 2)) for g in range(order))
    close(reached, best)


def test_quarter_turn_moves_the_corner_pixel():
    image = jnp.zeros((3, 3)).at[0, 0].set(1.0)
    close(Cyclic().act(jnp.asarray(1), image), jnp.zeros((3, 3)).at[2, 0].set(1.0))


def test_permutation_keeps_species_and_is_uniform_within_them():
    group = Permutation(SPECIES)
    keys = jax.random.split(jax.random.key(0), 6000)
    g = np.asarray(jax.vmap(lambda k: group.sample(k, (5, 3)))(keys))
    kinds = np.array(SPECIES)
    assert (kinds[g] == kinds).all()
    _, counts = np.unique(g, axis=0, return_counts=True)
    assert len(counts) == 12  # 3! · 2!
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500)


@given(seed=st.integers(0, 2**20))
def test_single_factors_align_exactly(seed):
    # Against brute force for permutations, and by recovering a known element for the others.
    key_x, key_y, key_g = jax.random.split(jax.random.key(seed), 3)
    x, y = jax.random.normal(key_x, (4, 3)), jax.random.normal(key_y, (4, 3))
    kinds = (0, 0, 1, 0)
    allowed = [
        p
        for p in itertools.permutations(range(4))
        if all(kinds[i] == kinds[j] for i, j in enumerate(p))
    ]
    best = min(float(jnp.sum((x[jnp.array(p)] - y) ** 2)) for p in allowed)
    group = Permutation(kinds)
    close(jnp.sum((group.act(group.align(x, y), x) - y) ** 2), best)
    for group in (Rotation(3), Rotation(3, reflections=True), Translation()):
        g = group.sample(key_g, (4, 3))
        close(group.act(group.align(x, group.act(g, x)), x), group.act(g, x))


def test_proper_rotations_align_mirror_images_as_well_as_rotations_can():
    x = jax.random.normal(jax.random.key(2), (5, 3))
    y = x * jnp.array([-1.0, 1.0, 1.0]) + 0.1
    proper, full = Rotation(3), Rotation(3, reflections=True)
    g = proper.align(x, y)
    close(jnp.linalg.det(g), 1.0)
    turned = jax.vmap(lambda k: proper.act(proper.sample(k, (5, 3)), x))(
        jax.random.split(jax.random.key(3), 5000)
    )
    reached = jnp.sum((proper.act(g, x) - y) ** 2)
    assert reached <= jnp.sum((turned - y) ** 2, axis=(1, 2)).min()
    assert jnp.sum((full.act(full.align(x, y), x) - y) ** 2) <= reached + 1e-5


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_tangents_are_derivatives_of_finite_rotations(dim, x64):
    x = jax.random.normal(jax.random.key(0), (5, dim))
    tangents = Rotation(dim).tangents(x)
    assert tangents.shape == (5 * dim, dim * (dim - 1) // 2)
    generator = jnp.tril(jax.random.normal(jax.random.key(1), (dim, dim)), -1)
    generator = generator - generator.T
    slope = jax.jvp(lambda s: x @ jax.scipy.linalg.expm(s * generator).T, (0.0,), (1.0,))[1]
    rest = slope.ravel() - tangents @ jnp.linalg.lstsq(tangents, slope.ravel())[0]
    np.testing.assert_allclose(rest, 0, atol=1e-12)


def test_tangents_of_a_product_are_those_of_its_factors():
    x = jax.random.normal(jax.random.key(0), SHAPE)
    assert EUCLIDEAN.tangents(x).shape == (15, 6)
    assert Product((Permutation(), Trivial())).tangents(x).shape == (15, 0)


def test_reference_measure_names_the_free_directions():
    assert reference_measure(Permutation(), (13, 3)) == "Lebesgue measure on R^39"
    assert reference_measure(EUCLIDEAN, (13, 3)) == (
        "Lebesgue measure on the 36-dimensional image of Product.project in R^39"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cyclic(3), "`order` must be 1, 2 or 4"),
        (lambda: Dihedral().orbit(jnp.zeros((3, 4))), "need a square image"),
        (lambda: Permutation("OHH"), "one label per particle"),
        (lambda: Permutation((0, 1)).act(jnp.arange(3), jnp.zeros((3, 2))), "names 2 particles"),
        (lambda: LinearRepresentation(np.ones((2, 2))), "must be orthogonal"),
        (lambda: LinearRepresentation(np.ones(3)), r"must have shape \(k, dim, dim\)"),
        (lambda: LinearRepresentation(np.eye(2)).orbit(jnp.zeros(3)), "events of 2 numbers"),
        (
            lambda: LinearRepresentation([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]]),
            "more than 1000 elements",
        ),
    ],
)
def test_bad_groups_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
