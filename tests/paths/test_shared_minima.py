"""Points that share a minimum share its anchor, turned, and nothing else changes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.groups import linear_part
from hiflow.paths import make_anchors, share_minima
from hiflow.paths._shared_minima import SharedAnchor

KEY = jax.random.key(0)
LJ4 = hf.energies.LennardJones(4, 3)
CLUSTERS = hf.paths.AtMinimum({"name": "langevin", "hessian": "symmetry-projected"}, energy=LJ4)
WELLS = hf.paths.AtMinimum("langevin", energy=hf.energies.DoubleWell())
RING = hf.paths.AtMinimum("langevin", energy=hf.energies.Ring())


def near(path, minima, spread, n):
    """Points about minima, turned at random."""
    group, shape = path.energy.group, path.energy.event_shape

    def point(key, minimum):
        k_turn, k_noise = jax.random.split(key)
        turned = linear_part(group, group.sample(k_turn, shape), minimum)
        return group.project(turned + spread * jax.random.normal(k_noise, shape))

    return jax.jit(jax.vmap(point))(
        jax.random.split(KEY, n), jnp.asarray(minima)[jnp.arange(n) % len(minima)]
    )


TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(8)
CASES = {
    "clusters": (CLUSTERS, near(CLUSTERS, [TETRAHEDRON], 0.05, 12), 1),
    "wells": (WELLS, near(WELLS, [[1.0, 0.0], [-1.0, 0.0]], 0.1, 12), 2),
    "ring": (RING, near(RING, [[2.0, 0.0]], 0.05, 12), 1),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    path, points, rows = CASES[request.param]
    shared = share_minima(path, points)
    assert shared is not None
    return path, points, rows, shared


def test_as_many_rows_as_minima(case):
    _, points, rows, (path, anchors) = case
    assert len(path.minima.centre) == rows
    assert len(anchors.row) == len(points)
    assert (np.unique(anchors.row) == np.arange(rows)).all()


def test_a_shared_anchor_is_the_points_own(case):
    path, points, _, (sharing, anchors) = case
    own = jax.vmap(path.frame)(make_anchors(path, points))
    found = jax.jit(jax.vmap(sharing.frame))(anchors)
    np.testing.assert_allclose(found.centre, own.centre, atol=2e-3)
    np.testing.assert_allclose(
        jax.vmap(jnp.sort)(found.variance), jax.vmap(jnp.sort)(own.variance), rtol=2e-2
    )

    def covariance(frame):
        return jax.vmap(lambda y: frame.modes.apply(frame.variance, y))(jnp.eye(frame.centre.size))

    # Eigenvectors are free in degenerate spaces; what is made of them isn't.
    a, b = (jax.vmap(covariance)(frames) for frames in (found, own))
    np.testing.assert_allclose(a, b, atol=2e-2 * float(jnp.abs(b).max()))
    np.testing.assert_allclose(
        found.components,
        jax.vmap(lambda frame: frame.modes.components(frame.centre.ravel()))(found),
        atol=1e-5,
    )


def test_it_takes_a_fraction_of_the_memory(case):
    path, points, *_, (_, anchors) = case
    own = hf.paths.anchor_bytes(path, points)
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(anchors)) < own
    if path is CLUSTERS:
        assert sum(leaf.nbytes for leaf in jax.tree.leaves(anchors)) < own / 5


def test_many_minima_are_not_shared():
    energy = hf.energies.FunctionEnergy(lambda x: (1 - jnp.cos(x)).sum(), (2,))
    path = hf.paths.AtMinimum("langevin", energy=energy)
    wells = 2 * jnp.pi * jnp.stack(jnp.meshgrid(jnp.arange(4.0), jnp.arange(3.0)), -1)
    assert share_minima(path, wells.reshape(-1, 2)) is None
    assert share_minima(path, jnp.repeat(wells.reshape(-1, 2), 8, axis=0)) is not None


def test_points_without_a_minimum_are_left_to_those_who_name_them():
    points = jnp.zeros((3, 2)).at[1].set(jnp.nan)
    assert share_minima(WELLS, points) is None
    with pytest.raises(ValueError, match="first at index 1"):
        make_anchors(WELLS, points)


@pytest.mark.parametrize("noise", ["prior", "own"])
def test_training_at_shared_minima_is_training_at_each(noise, monkeypatch):
    inner = hf.paths.Langevin(hf.energies.DoubleWell(), noise=noise)
    # Few enough for the virial not to be looked at.
    path, points = hf.paths.AtMinimum(inner), CASES["wells"][1][:8]

    def train(**settings):
        network = hf.networks.MLP(shape=(2,), width=8, depth=1, key=KEY)
        common = {"prior": hf.priors.Normal(shape=(2,)), "key": KEY, "progress": False}
        return hf.fit(network, path, points, steps=10, batch_size=4, **common, **settings)

    seen = []
    frame = hf.paths.SharedMinima.frame

    def watching(self, anchor):
        seen.append(isinstance(anchor, SharedAnchor))
        return frame(self, anchor)

    monkeypatch.setattr(hf.paths.SharedMinima, "frame", watching)
    shared = train()
    assert any(seen)
    seen.clear()
    monkeypatch.setattr("hiflow.training._anchors.share_minima", lambda *_, **__: None)
    own = train()
    assert not seen
    for a, b in zip(
        *(jax.tree.leaves(eqx.filter(flow.network, eqx.is_array)) for flow in (shared, own)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-3)
