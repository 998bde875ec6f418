"""The particle network with labels, bonds and handedness: equivariant under exactly its group."""

from pathlib import Path
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.groups import Product, Rotation
from hiflow.networks import EGNN
from hiflow.networks._perturbed import perturbed

KEY = jax.random.key(0)
T = jnp.asarray(0.3)
# As in F-C(-O)(-H)-H: its hydrogens may be exchanged.
SPECIES = ["F", "C", "O", "H", "H"]
BONDS = [(0, 1), (1, 2), (3, 1), (1, 4)]


def network(particles=5, dim=3, *, depth=2, **more):
    return perturbed(EGNN(particles, dim, 6, depth, key=KEY, **more), jax.random.key(1), 0.3)


def points(*shape, seed=2):
    return jax.random.normal(jax.random.key(seed), shape)


velocity = eqx.filter_jit(lambda field, x: field(T, x))
exact = eqx.filter_jit(lambda field, x: field.velocity_and_divergence(T, x))
jacobian = eqx.filter_jit(lambda field, x: jax.jacfwd(lambda y: field(T, y))(x))

KINDS = {
    "labelled": {"species": SPECIES[1:] + SPECIES[:1]},
    "bonded": {"species": SPECIES, "bonds": BONDS},
    "chiral": {"reflections": False},
    "all": {"species": range(5), "bonds": BONDS, "reflections": False},
}


@pytest.mark.parametrize(
    ("kind", "depth", "dim"),
    [("bonded", 3, 3), ("chiral", 2, 3), ("all", 1, 3), ("all", 3, 3), ("all", 3, 2)],
)
def test_divergence_is_trace_of_jacobian(kind, depth, dim, x64):
    field, x = network(dim=dim, depth=depth, **KINDS[kind]), points(5, dim)
    v, divergence = exact(field, x)
    np.testing.assert_allclose(v, velocity(field, x), atol=1e-10)
    trace = jnp.trace(jacobian(field, x).reshape(x.size, x.size))
    np.testing.assert_allclose(divergence, trace, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("kind", "dim"), [("labelled", 3), ("bonded", 3), ("chiral", 2)])
def test_the_laws_of_fields_hold(kind, dim):
    hf.testing.check_velocity_field(EGNN(5, dim, 6, 2, key=KEY, **KINDS[kind]))


@pytest.mark.parametrize("kind", ["labelled", "bonded", "all"])
def test_exchanging_two_particles_matters_exactly_where_their_labels_differ(kind, x64):
    given = KINDS[kind]
    field, x, labels = network(**given), points(5, 3), list(given["species"])
    v = velocity(field, x)
    for i in range(5):
        for j in range(i):
            swap = np.arange(5)
            swap[[i, j]] = j, i
            off = jnp.abs(velocity(field, x[swap]) - v[swap]).max()
            assert (off < 1e-10) == (labels[i] == labels[j]), (i, j)
            assert off < 1e-10 or off > 1e-3


def test_bonds_are_seen_from_both_ends(x64):
    one, two = (network(species=range(5), bonds=[pair]) for pair in ((1, 4), (4, 1)))
    x = points(5, 3)
    np.testing.assert_array_equal(velocity(one, x), velocity(two, x))
    # In one layer only the two ends hear of a bond; centring moves the others together.
    single = network(species=range(5), bonds=[(1, 4)], depth=1)
    blank = eqx.tree_at(lambda f: f.layers[0].pairs.bond_offset, single, jnp.zeros(6))
    change = velocity(single, x) - velocity(blank, x)
    change = change - change[0]
    assert jnp.abs(change[jnp.asarray([2, 3])]).max() < 1e-12
    assert jnp.abs(change[1]).max() > 1e-3
    assert jnp.abs(change[4]).max() > 1e-3


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("reflections", [True, False])
def test_a_mirror_image_moves_as_one_exactly_with_reflections(reflections, dim, x64):
    field, x = network(dim=dim, reflections=reflections), points(5, dim)
    mirror = jnp.ones(dim).at[0].set(-1)
    off = jnp.abs(velocity(field, mirror * x) - mirror * velocity(field, x)).max()
    assert (off < 1e-10) == reflections
    assert off < 1e-10 or off > 1e-3
    assert eqx.tree_equal(cast(Product, field.group).groups[1], Rotation(dim, reflections))


def test_smooth_where_particles_coincide_or_lie_on_a_line():
    field = network(**KINDS["all"])
    for x in (jnp.zeros((5, 3)), points(5, 1) * jnp.ones(3)):
        slope = jax.grad(lambda y: (field(T, y) ** 2).sum())
        curvature = jax.jit(lambda y, s=slope: jax.jvp(s, (y,), (points(5, 3),)))(x)
        weights = eqx.filter_jit(eqx.filter_grad(lambda f, y=x: (f(T, y) ** 2).sum()))(field)
        for value in [*exact(field, x), *curvature, *jax.tree.leaves(weights)]:
            assert jnp.isfinite(value).all()


def test_every_weight_counts_in_velocity_and_divergence(x64):
    field, x = network(**KINDS["all"]), points(5, 3)
    loss = eqx.filter_jit(eqx.filter_grad(lambda f: (f(T, x) ** 2).sum()))
    ours = eqx.filter_jit(eqx.filter_grad(lambda f: f.velocity_and_divergence(T, x)[1]))

    def trace(field):
        return jnp.trace(jax.jacfwd(lambda y: field(T, y))(x).reshape(x.size, x.size))

    dense = eqx.filter_jit(eqx.filter_grad(trace))(field)
    for leaf in jax.tree.leaves(loss(field)):
        assert jnp.abs(leaf).max() > 0
    for a, b in zip(jax.tree.leaves(dense), jax.tree.leaves(ours(field)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_comes_back_from_its_file(kind, tmp_path):
    field = network(**KINDS[kind])
    hf.Flow(hf.priors.CentredNormal(5, 3), field).save(tmp_path / "a.hiflow")
    back = hf.load(tmp_path / "a.hiflow").network
    assert eqx.tree_equal(back, field)
    again = EGNN(**field.constructor_arguments(), key=KEY)
    assert jax.tree.structure(again) == jax.tree.structure(field)


def test_a_file_from_before_labels_is_read():
    field = hf.load(Path(__file__).parents[1] / "files" / "egnn-of-format-3.hiflow").network
    x = jnp.cos(jnp.arange(6.0).reshape(3, 2))
    # What the version that wrote it gave.
    v, divergence = exact(field, x)
    expected = [[-3.795888, -2.6190414], [2.227137, 4.0173883], [1.5687509, -1.3983468]]
    np.testing.assert_allclose(v, expected, rtol=1e-4)
    np.testing.assert_allclose(divergence, -29.730337, rtol=1e-4)


def test_labels_add_weights_and_change_none():
    plain = EGNN(5, 3, 6, 2, key=KEY)
    labelled = EGNN(5, 3, 6, 2, key=KEY, **KINDS["all"])
    kept = eqx.tree_at(
        lambda f: [f.group, f.kind, *[layer.pairs for layer in f.layers],
                   *[layer.handedness for layer in f.layers]],
        labelled, [plain.group, *[None] * 5],
    )  # fmt: skip
    assert eqx.tree_equal(kept, plain)
    alike = EGNN(5, 3, 6, 2, species=[78] * 5, key=KEY)
    assert eqx.tree_equal(jax.tree.leaves(alike), jax.tree.leaves(plain))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"species": SPECIES, "bonds": [(0, 1), (1, 3)]}, r"particles 3 and 4 apart.*\[0, 1, 2, 3, 4\]"),
        ({"bonds": [(0, 1)]}, r"particles 0 and 2 apart.*species=\[0, 0, 1, 1, 1\]"),
        ({"species": "CCOHH", "bonds": []}, "`species` must be a sequence"),
        ({"species": [1, 2]}, "one label for each of the 5 particles, got 2"),
        ({"species": [True] * 5}, "`species` must be a sequence"),
        ({"species": 5}, "`species` must be a sequence"),
        ({"bonds": [(0, 5)]}, r"`bonds` must be between two of the particles 0 to 4, got \(0, 5\)"),
        ({"bonds": [(1, 1)]}, r"`bonds` must be between two"),
        ({"bonds": [(0, 1, 2)]}, "`bonds` must be pairs"),
        ({"bonds": 3}, "`bonds` must be pairs"),
        ({"dim": 4, "reflections": False}, "`reflections` can only be False in 2 or 3 `dim`, got 4"),
    ],
)  # fmt: skip
def test_bonds_that_an_exchange_breaks_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        EGNN(**{"particles": 5, "dim": 3, "width": 4, "depth": 1, **given}, key=KEY)


def test_bonds_within_all_identical_particles_are_kept_where_all_are_bonded():
    assert EGNN(2, 3, 4, 1, bonds=[(0, 1)], key=KEY).constructor_arguments()["bonds"] == ((0, 1),)
