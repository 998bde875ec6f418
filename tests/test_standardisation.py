"""A flow of data of any scale and origin is that of the standardised data, in the data's own units."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.energies import Affine
from hiflow.groups import Permutation, Product, Rotation, Translation, Trivial
from hiflow.standardisation import Standardised, scale_complaint

KEY = jax.random.key(0)


def normal(size, shape, scale: Any = 1.0, shift: Any = 0.0, seed=0):
    return scale * jax.random.normal(jax.random.key(seed), (size, *shape)) + shift


def fit(points, *, path=None, prior=None, network=None, **settings):
    shape = points.shape[1:]
    return hf.fit(
        network or hf.networks.MLP(shape, 32, 2, key=KEY),
        path or hf.paths.OptimalTransport(),
        points,
        prior=prior or hf.priors.Normal(shape),
        key=KEY,
        progress=False,
        **{"steps": 30, "batch_size": 64, **settings},
    )


def test_coordinates_have_the_priors_width_and_origin():
    points = normal(500, (3,), jnp.array([1.0, 10.0, 100.0]), jnp.array([0.0, 500.0, -3.0]))
    each = Standardised.of(points, group=Trivial(), how="features", width=2.0)
    z = jax.vmap(each)(points)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(0), 2, rtol=1e-4)
    np.testing.assert_allclose(jax.vmap(each.inverse)(z), points, rtol=1e-4, atol=1e-3)
    one = Standardised.of(points, group=Trivial(), how="scalar")
    z = np.asarray(jax.vmap(one)(points))
    np.testing.assert_allclose(np.sqrt((z**2).mean()), 1, rtol=1e-4)
    assert one.scale.shape == ()


def test_a_coordinate_that_does_not_vary_is_not_blown_up():
    points = normal(100, (2,)).at[:, 1].set(7.0)
    units = Standardised.of(points, group=Trivial(), how="features")
    np.testing.assert_allclose(units.scale[1], np.sqrt(np.mean(np.var(points, axis=0))), rtol=1e-4)


def test_scale_and_shift_commute_with_the_group():
    particles = Product((Permutation(), Rotation(3, reflections=True), Translation()))
    points = 5 * jax.vmap(hf.priors.CentredNormal(13, 3).sample)(jax.random.split(KEY, 200)) + 1e3
    units = Standardised.of(points, group=particles)
    np.testing.assert_allclose(units.scale, 5, rtol=0.03)
    np.testing.assert_allclose(units.shift, 0, atol=1e-3)
    about_origin = Standardised.of(normal(200, (2,), 3.0, 4.0), group=Rotation(2))
    np.testing.assert_allclose(about_origin.shift, 0)
    assert about_origin.scale.shape == ()
    with pytest.raises(ValueError, match="Say 'scalar'"):
        Standardised.of(points, group=particles, how="features")


def test_points_without_a_scale_are_refused():
    with pytest.raises(ValueError, match="all points are the same"):
        Standardised.of(jnp.ones((5, 2)), group=Trivial())


@pytest.mark.parametrize("how", ["scalar", "features"])
def test_the_density_is_that_of_the_standardised_data_with_the_log_determinant(how):
    points = normal(300, (2,), jnp.array([100.0, 20.0]), 500.0)
    flow = fit(points, standardise=how)
    assert flow.units is not None
    inner = hf.Flow(flow.prior, flow.network, flow.solver)
    z = jax.vmap(flow.units)(points[:20])
    log_prob, stats = inner.log_prob_and_stats(z)
    scales = np.broadcast_to(flow.units.scale, 2)
    ours, our_stats = flow.log_prob_and_stats(points[:20])
    np.testing.assert_allclose(ours, log_prob - np.log(scales).sum(), rtol=1e-5)
    np.testing.assert_array_equal(our_stats.nfe, stats.nfe)
    np.testing.assert_allclose(flow.log_prob(points[0]), ours[0], atol=1e-2)
    x, density = flow.sample_and_log_prob(KEY, 20)
    np.testing.assert_allclose(
        jax.vmap(flow.units)(x), inner.sample_and_log_prob(KEY, 20)[0], atol=1e-2
    )
    np.testing.assert_allclose(density, flow.log_prob(x), atol=0.03)
    assert abs(float(x.mean()) - 500) < 60
    x0 = jax.vmap(flow.prior.sample)(jax.random.split(KEY, 5))
    there = jax.vmap(flow.units.inverse)(inner.push(x0))
    np.testing.assert_allclose(flow.push(x0), there, rtol=1e-6)


def test_a_density_integrates_to_one_in_the_datas_units():
    flow = fit(normal(300, (1,), 30.0, 200.0), standardise=True)
    grid = jnp.linspace(0.0, 400.0, 401)[:, None]
    np.testing.assert_allclose(jnp.exp(flow.log_prob(grid)).sum(), 1, atol=2e-3)


def test_training_far_away_reaches_the_entropy():
    points = normal(2_100, (2,), 100.0, 500.0)
    rows = []
    fit(
        points[100:], validation=points[:100], standardise=True, callbacks=[rows.append],
        steps=600, batch_size=128, learning_rate=3e-3,
    )  # fmt: skip
    exact = np.log(2 * np.pi * np.e * 100**2)  # 12.05
    luck = np.mean(np.sum(((np.asarray(points[:100]) - 500) / 100) ** 2, axis=1)) / 2 - 1
    assert abs(rows[-1]["nll"] - exact - luck) < 0.1


def test_it_is_saved_with_the_flow(tmp_path):
    flow = fit(normal(50, (2,), 100.0, 500.0), standardise=True)
    flow.save(tmp_path / "f.hiflow")
    again = hf.load(tmp_path / "f.hiflow")
    assert eqx.tree_equal(flow, again)
    assert eqx.tree_equal(flow.with_settings(steps=4).units, flow.units)


def test_data_far_from_the_prior_are_told_of_before_training():
    prior = hf.priors.Normal(2)
    with pytest.warns(hf.ScaleWarning, match="standardise=True"):
        fit(normal(100, (2,), 100.0, 500.0), steps=1)
    assert scale_complaint(normal(100, (2,), 1e-3), prior) is not None
    for points in (normal(100, (2,)), normal(20, (2,), 5.0, 3.0), normal(100, (2,), 0.1)):
        assert scale_complaint(points, prior) is None


@pytest.mark.parametrize("scale", [3.0, jnp.array([0.5, 4.0])], ids=["scalar", "features"])
def test_an_energy_in_other_units_has_their_gradient_and_hessian(scale):
    inner = hf.energies.DoubleWell()
    energy = Affine(inner, scale, jnp.array([0.2, -0.1]))
    z = jnp.array([0.3, 0.4])
    x = energy.scale * z + energy.shift
    np.testing.assert_allclose(energy(z), inner(x), rtol=1e-6)
    np.testing.assert_allclose(energy.hessian(z), jax.hessian(energy)(z), rtol=1e-4, atol=1e-4)
    plain = Affine(hf.energies.FunctionEnergy(lambda x: inner(x), shape=(2,)), scale, 0.1)
    np.testing.assert_allclose(plain.hessian(z), jax.hessian(plain)(z), rtol=1e-4, atol=1e-4)


def test_low_rank_hessians_take_one_scale_alone():
    inner = hf.energies.FittedGaussian.fit(normal(40, (4,)), key=KEY, rank=2)
    energy, provider, z = Affine(inner, 2.0, 0.5), hf.hessians.LowRank(3), jnp.full(4, 0.2)
    dense = provider(energy, z).as_matrix()
    np.testing.assert_allclose(dense, jax.hessian(energy)(z), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="no multiple of the identity"):
        provider(Affine(inner, jnp.arange(1.0, 5.0), 0.5), z)
    with pytest.raises(ValueError, match="DoubleWell has no method `low_rank_hessian`"):
        provider(Affine(hf.energies.DoubleWell()), z[:2])


def test_a_path_sees_the_energy_in_standardised_coordinates():
    energy = hf.energies.Gaussian(jnp.array([50.0, -20.0]), [1 / 9, 25 / 9])
    points = jax.vmap(energy.sample)(jax.random.split(KEY, 400))
    units = Standardised.of(points, group=Trivial(), how="scalar")
    curvature = {"name": "absolute", "shift": 1.0}
    path = hf.paths.Langevin(energy=energy, hessian="analytic", curvature=curvature)
    inside = units.of_energies(path)
    variance = inside.anchor(units(points[0])).variance
    expected = 1 / (np.asarray(units.scale) ** 2 * np.array([1 / 9, 25 / 9]) + 1)
    assert variance is not None
    np.testing.assert_allclose(np.sort(variance), np.sort(expected), rtol=1e-4)
    np.testing.assert_allclose(inside.energy(units(points[1])), energy(points[1]), rtol=1e-3)
    assert hf.data.check_virial(inside.energy, jax.vmap(units)(points)).z < 4
    flow = fit(points, path=path, standardise="scalar", steps=5)
    assert jnp.isfinite(flow.log_prob(points[:3])).all()


def test_particles_keep_their_symmetry():
    prior = hf.priors.CentredNormal(4, 2)
    points = 50 * jax.vmap(prior.sample)(jax.random.split(KEY, 64))
    network = hf.networks.EGNN(4, 2, 8, 1, key=KEY)
    flow = fit(points, prior=prior, network=network, standardise=True, steps=5)
    x = points[:3]
    turn = jnp.array([[0.6, -0.8], [0.8, 0.6]])
    moved = (x @ turn.T)[:, ::-1] + 7.0
    np.testing.assert_allclose(flow.log_prob(moved), flow.log_prob(x), atol=0.02)
    inner = hf.Flow(flow.prior, flow.network, flow.solver)
    assert flow.units is not None
    expected = inner.log_prob(x / flow.units.scale) - 6 * jnp.log(flow.units.scale)
    np.testing.assert_allclose(flow.log_prob(x), expected, rtol=1e-4)


def test_other_words_are_refused():
    with pytest.raises(
        ValueError, match="`standardise` must be true, false, 'scalar' or 'features'"
    ):
        fit(normal(10, (2,)), standardise="columns")
