"""A shared basis gives the paths of the provider that it stands for, from anchors without vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import energies, hessians, paths, priors
from hiflow.spectrum import Modes
from hiflow.testing import check_path

T = 0.4


def gaussian(rank=2, dim=6, seed=0):
    x = np.random.default_rng(seed).normal(size=(40, dim)) * np.linspace(0.5, 3, dim)
    return energies.FittedGaussian.fit(x, rank=rank)


def draws(dim, n=5):
    return jax.random.normal(jax.random.key(1), (2, n, dim))


@pytest.mark.parametrize("rank", [2, 6])
@pytest.mark.parametrize("name", ["linearised", "langevin", "relaxed"])
def test_paths_of_a_gaussian_are_those_of_its_exact_hessian(name, rank, x64):
    energy = gaussian(rank)
    x1, x0 = draws(6)
    found = []
    for provider in ("shared-basis", "low-rank", "analytic"):
        path = paths.registry.make({"name": name, "energy": energy, "hessian": provider})
        assert isinstance(path, paths.AbstractGaussianPath)
        anchors = jax.vmap(path.anchor)(x1)
        flow, u = jax.vmap(path.flow_and_velocity, (0, 0, None))(x0, anchors, jnp.asarray(T))
        densities = jax.vmap(path.log_prob, (0, 0, None))(x0, anchors, jnp.asarray(T))
        scores = jax.vmap(path.score, (0, 0, None))(x0, anchors, jnp.asarray(T))
        found.append((flow, u, densities, scores))
    for other in found[1:]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8), found[0], other)


def test_every_point_of_a_mixture_gets_the_precision_of_its_component(x64):
    energy = energies.FittedMixture.example()
    for j in range(2):
        x = energy.means[j]
        found = hessians.SharedBasis().spectrum(energy, x)
        own = energies.FittedGaussian(x, energy.vectors[j], energy.variances[j], energy.noises[j])
        matrix = jax.vmap(lambda v, s=found: s.apply(lambda k: k, v))(jnp.eye(3))
        np.testing.assert_allclose(matrix, own.hessian(x), atol=1e-12)
        assert found.modes.index is not None
        assert int(found.modes.index) == j
        assert float(found.eigenvalues.min()) > 0


@pytest.mark.parametrize("cls", [energies.FittedGaussian, energies.FittedMixture])
def test_paths_obey_their_laws(cls, x64):
    path = paths.Langevin(cls.example(), hessian="shared-basis")
    check_path(path, prior=priors.Normal((3,)), times=(0.1, 0.6))


@pytest.mark.parametrize("components", [1, 3])
def test_anchors_hold_no_vectors(components):
    energy = energies.FittedMixture.blank((50,), components=components, rank=4)
    path = paths.Linearised(energy, hessian="shared-basis")
    anchors = paths.make_anchors(path, jnp.zeros((7, 50)))
    assert anchors.modes.vectors is None
    assert sum(leaf.size for leaf in jax.tree.leaves(anchors)) == 7 * (50 + 5 + 4 + 1)
    with pytest.raises(ValueError, match=r"path\.frame\(anchor\)"):
        path.anchor(jnp.zeros(50)).modes.apply(jnp.ones(5), jnp.zeros(50))


def test_one_basis_is_not_copied_for_every_point():
    energy = gaussian()
    path = paths.Linearised(energy, hessian="shared-basis")
    x1, x0 = draws(6)
    anchors = jax.vmap(path.anchor)(x1)
    traced = jax.make_jaxpr(jax.vmap(path.flow, (0, 0, None)))(x0, anchors, jnp.asarray(T))
    assert "f32[5,6,2]" not in str(traced)
    # The same holds where the vectors are chosen among several, but these must be gathered.
    mixture = energies.FittedMixture.blank((6,), components=3, rank=2)
    path = paths.Linearised(mixture, hessian="shared-basis")
    anchors = jax.vmap(path.anchor)(x1)
    traced = jax.make_jaxpr(jax.vmap(path.flow, (0, 0, None)))(x0, anchors, jnp.asarray(T))
    assert "f32[5,6,2]" in str(traced)


def test_a_path_around_the_path_and_a_provider_around_the_provider_keep_the_index(x64):
    energy = gaussian()
    at_minimum = paths.AtMinimum("langevin", energy=energy)
    inner = paths.Langevin(energy, hessian={"name": "quenched", "inner": "shared-basis"})
    shared = paths.AtMinimum(inner)
    x1, x0 = draws(6)
    expected, found = (p.flow(x0[0], p.anchor(x1[0]), jnp.asarray(T)) for p in (at_minimum, shared))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert shared.anchor(x1[0]).modes.vectors is None


def test_what_it_cant_do_is_refused():
    for energy, message in [
        (energies.DoubleWell(), "needs an energy with `shared_spectra"),
        (energies.LennardJones(4, 2), "not equivariant under"),
    ]:
        with pytest.raises(ValueError, match=message):
            paths.Langevin(energy, hessian="shared-basis")
    with pytest.raises(ValueError, match="hold only the `index`"):
        Modes(has_rest=True, size=3, index=jnp.zeros((), int)).components(jnp.zeros(3))
