"""Couplings: shorter paths, the right marginals, and the refusals of `fit`."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hiflow as hf
from built_in import own
from hiflow import couplings, groups
from hiflow.testing import check_coupling
from hiflow.training import _pairing
from hiflow.training._draws import Draw

PRIOR = hf.priors.CentredNormal(4, 2)
GROUP = PRIOR.group
KEY = jax.random.key(0)


def batch(seed, n, prior=PRIOR):
    keys = jax.random.split(jax.random.key(seed), 2 * n)
    x0, x1 = jax.vmap(prior.sample)(keys[:n]), jax.vmap(prior.sample)(keys[n:])
    return x0, 0.7 * x1


def cost(x0, x1):
    return float(jnp.sum((x0 - x1) ** 2))


@settings(max_examples=6)
@given(seed=st.integers(0, 2**20), n=st.sampled_from([1, 2, 5]))
def test_minibatch_ot_is_the_best_of_all_permutations(seed, n):
    x0, x1 = batch(seed, n)
    y0, _ = couplings.MinibatchOT()(x0, x1, KEY)
    best = min(cost(x0[jnp.array(p)], x1) for p in itertools.permutations(range(n)))
    assert cost(y0, x1) <= best * (1 + 1e-5)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**20))
def test_alignment_lengthens_no_path_and_stays_on_the_orbit(seed):
    x0, x1 = batch(seed, 5)
    y0, _ = couplings.SymmetryAligned(GROUP)(x0, x1, KEY)
    before, after = (jnp.sum((x - x1) ** 2, axis=(1, 2)) for x in (x0, y0))
    assert (after <= before * (1 + 1e-5)).all()
    # All pair distances of a sample are invariants of its orbit.
    np.testing.assert_allclose(invariants(y0), invariants(x0), atol=1e-4)


def invariants(x):
    distances = jnp.linalg.norm(x[:, :, None] - x[:, None, :] + 1e-12, axis=-1)
    return jnp.sort(distances.reshape(x.shape[0], -1), axis=1)


def test_alignment_goes_on_to_a_fixed_point():
    x0, x1 = batch(7, 32)
    align = jax.jit(couplings.SymmetryAligned(GROUP))
    once, _ = align(x0, x1, KEY)
    twice, _ = align(once, x1, KEY)
    assert cost(twice, x1) == pytest.approx(cost(once, x1), rel=1e-5)


def test_alignment_finds_a_moved_copy():
    x0, _ = batch(1, 6)
    small = jax.scipy.linalg.expm(0.2 * jnp.array([[0.0, 1.0], [-1.0, 0.0]]))
    shuffled = jax.random.permutation(KEY, 4)
    x1 = jax.vmap(lambda x: (x @ small.T)[shuffled])(x0)
    y0, _ = couplings.SymmetryAligned(GROUP, starts=4)(x0, x1, KEY)
    np.testing.assert_allclose(y0, x1, atol=1e-5)


def test_more_starts_find_shorter_paths():
    x0, x1 = batch(2, 64)
    one, many = (couplings.SymmetryAligned(GROUP, starts=s)(x0, x1, KEY)[0] for s in (1, 6))
    assert cost(many, x1) < cost(one, x1)


def test_equivariant_ot_is_shorter_than_either_of_its_parts():
    x0, x1 = batch(3, 24)
    lengths = {
        name: cost(coupling(x0, x1, KEY)[0], x1)
        for name, coupling in {
            "minibatch": couplings.MinibatchOT(),
            "aligned": couplings.SymmetryAligned(GROUP),
            "equivariant": couplings.EquivariantOT(GROUP),
            "blocks": couplings.EquivariantOT(GROUP, block=7),
        }.items()
    }
    assert lengths["equivariant"] < lengths["aligned"] < lengths["minibatch"]
    assert lengths["equivariant"] < lengths["blocks"] < lengths["aligned"]


def test_species_are_never_mixed():
    group = groups.Product((groups.Permutation(("A", "A", "B", "B")), groups.Rotation(2)))
    x0, x1 = batch(4, 8)
    y0, _ = couplings.SymmetryAligned(group)(x0, x1, KEY)
    for kind in (slice(0, 2), slice(2, 4)):
        radii = [jnp.sort(jnp.linalg.norm(x[:, kind], axis=-1), axis=1) for x in (x0, y0)]
        np.testing.assert_allclose(radii[0], radii[1], atol=1e-5)


def test_precomputed_pairs_are_fixed_shorter_and_from_the_prior():
    prior = hf.priors.Normal(2)
    points = 2 * jax.vmap(prior.sample)(jax.random.split(jax.random.key(5), 8))
    coupling = couplings.Precomputed(per_point=32).prepare(prior, points, KEY)
    x1 = points[jnp.array([3, 3, 0, 7])]
    x0 = jax.vmap(prior.sample)(jax.random.split(KEY, 4))
    y0, _ = coupling(x0, x1, jax.random.key(1))
    again, _ = coupling(10 * x0, x1, jax.random.key(1))
    np.testing.assert_array_equal(y0, again)
    pool = coupling.pool
    assert pool is not None
    assert all((pool[i] == y).all(1).any() for i, y in zip((3, 3, 0, 7), y0, strict=True))
    apart = jnp.sum((pool.reshape(-1, 1, 2) - points) ** 2, axis=-1).mean()
    together = jnp.sum((pool - points[:, None]) ** 2, axis=-1).mean()
    assert together < 0.8 * apart


def test_precomputed_must_be_prepared_and_be_small():
    x0, x1 = batch(6, 3)
    with pytest.raises(ValueError, match="no pairs yet"):
        couplings.Precomputed()(x0, x1, KEY)
    with pytest.raises(ValueError, match="8,192 pairs"):
        couplings.Precomputed(per_point=5_000).prepare(PRIOR, x1, KEY)
    with pytest.raises(ValueError, match="at least 1"):
        couplings.Precomputed(per_point=0)


def test_a_group_that_cannot_align_is_refused():
    class Shifts(groups.AbstractDiscreteGroup):
        def sample(self, key, event_shape):
            return jax.random.randint(key, (), 0, event_shape[0])

        def act(self, g, x):
            return jnp.roll(x, g, axis=0)

        def inverse(self, g):
            return -g

        def compose(self, g, h):
            return g + h

    with pytest.raises(ValueError, match="Shifts, which can't align"):
        couplings.SymmetryAligned(groups.Product((Shifts(), groups.Rotation(2))))
    with pytest.raises(ValueError, match="`starts` must be at least 1"):
        couplings.SymmetryAligned(GROUP, starts=0)
    with pytest.raises(ValueError, match="`block` must be at least 1"):
        couplings.EquivariantOT(GROUP, block=0)


SETTINGS = {
    "equivariant-ot in blocks": lambda: couplings.EquivariantOT(GROUP, block=5),
    "precomputed, 16 a point": lambda: couplings.Precomputed(per_point=16),
    "precomputed-aligned": lambda: couplings.Precomputed(couplings.SymmetryAligned(GROUP), 8),
    "symmetry-aligned from two starts": lambda: couplings.SymmetryAligned(GROUP, starts=2),
}
"""Couplings with other settings than they have by default."""


def make(name):
    if name in SETTINGS:
        return SETTINGS[name]()
    cls: Any = couplings.registry.get(name)
    return cls.example() if hasattr(cls, "example") else couplings.registry.make(name, group=GROUP)


@pytest.mark.parametrize("name", [*own(couplings.registry), *SETTINGS])
def test_coupling_obeys_its_laws(name, x64):
    check_coupling(make(name), prior=hf.priors.CentredNormal(4, 2), draws=50)


def tiny_fit(coupling, network=None, path="optimal-transport", **settings):
    energy = hf.energies.DoubleWellParticles.preset("dw4")
    network = network or hf.networks.MLP((4, 2), 8, 1, projects_on="translation", key=KEY)
    points = jax.vmap(PRIOR.sample)(jax.random.split(KEY, 9))
    path = hf.paths.registry.make(path, energy=energy, group=GROUP)
    return hf.fit(
        network, path, points, prior=PRIOR, key=KEY, coupling=coupling,
        energy=energy, progress=False, **{"steps": 70, "batch_size": 8, **settings},
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*virial")
def test_fit_trains_with_a_coupling_named_in_a_table():
    flow = tiny_fit({"name": "precomputed", "per_point": 4})
    assert jnp.isfinite(flow.log_prob(PRIOR.sample(KEY)))


@pytest.mark.filterwarnings("ignore:.*virial")
@pytest.mark.parametrize("double", [False, True])
def test_pairing_in_the_background_changes_nothing(monkeypatch, double):
    trained = []
    for background in (True, False):
        monkeypatch.setattr(couplings.MinibatchOT, "in_background", background)
        with jax.enable_x64(double):
            trained.append(jax.tree.leaves(tiny_fit("minibatch-ot").network))
    for a, b in zip(*trained, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:.*virial")
def test_arms_that_draw_alike_share_their_pairs(monkeypatch):
    calls = []
    make = _pairing._draw
    monkeypatch.setattr(_pairing, "_memory", _pairing._Memory())
    monkeypatch.setattr(_pairing, "_draw", lambda *rest: calls.append(1) or make(*rest))
    first = tiny_fit({"name": "minibatch-ot"})
    assert (drawn := len(calls))
    calls.clear()
    again = tiny_fit({"name": "minibatch-ot"})
    assert not calls
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    tiny_fit({"name": "minibatch-ot"}, steps=71)
    assert calls
    calls.clear()
    tiny_fit({"name": "minibatch-ot"}, batch_size=7)
    assert len(calls) == drawn


def test_runs_at_once_dont_take_each_others_pairs():
    """The second of two runs, whose calls are the same, has begun; the first goes on."""
    one = jnp.zeros(1)
    draw = Draw(one.astype(int), one[:, None], one, one, one.astype(jnp.uint32), None)
    memory, call = _pairing._Memory(), (0, 50)
    memory.identity = "second"
    memory.keep("first", call, draw)
    assert memory.drawn("second", call) is None
    memory.keep("second", call, draw)
    assert memory.drawn("first", call) is None
    assert memory.drawn("second", call) is draw


PRIORS_NOISE = {
    "langevin": {"name": "langevin", "noise": "prior"},
    "relaxed": {"name": "relaxed", "noise": "prior"},
    "at-minimum": {"name": "at-minimum", "inner": {"name": "langevin", "noise": "prior"}},
}


@pytest.mark.filterwarnings("ignore:.*virial")
@pytest.mark.parametrize(
    ("name", "path"),
    [("minibatch-ot", "langevin"), ("symmetry-aligned", "relaxed"), ("precomputed", "at-minimum")],
)
def test_pairs_chosen_by_the_data_are_refused_as_the_noise_of_an_end_law(name, path):
    network = hf.networks.EGNN(4, 2, width=4, depth=1, length=2.5, key=KEY)
    with pytest.raises(ValueError, match="would lean towards the data point"):
        tiny_fit(name, network, path=PRIORS_NOISE[path])


@pytest.mark.filterwarnings("ignore:.*virial")
def test_moving_samples_needs_an_equivariant_network():
    network = hf.networks.MLP((4, 2), 8, 1, projects_on="translation", key=KEY)
    with pytest.raises(ValueError, match="isn't equivariant"):
        tiny_fit("symmetry-aligned", network)


@pytest.mark.filterwarnings("ignore:.*virial")
def test_resumed_training_meets_the_same_pairs(tmp_path):
    whole = tiny_fit("precomputed", checkpoint_dir=tmp_path / "a", checkpoint_every=30)

    class Stop(Exception):  # noqa: N818
        pass

    def interrupt(row):
        if row["step"] == 40:
            raise Stop

    settings = {"checkpoint_dir": tmp_path / "b", "checkpoint_every": 30}
    held_out = jax.vmap(PRIOR.sample)(jax.random.split(jax.random.key(9), 2))
    with pytest.raises(Stop):
        tiny_fit(
            "precomputed", validation=held_out, validate_at=[40], callbacks=[interrupt], **settings
        )
    resumed = tiny_fit("precomputed", resume=True, **settings)
    for a, b in zip(jax.tree.leaves(whole.network), jax.tree.leaves(resumed.network), strict=True):
        np.testing.assert_array_equal(a, b)
