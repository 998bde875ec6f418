"""Energies that are learned from data find what the data were drawn from."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from hiflow import energies, priors
from hiflow._disk import save as save_anything
from hiflow.energies import (
    AbstractEnergy,
    EnergyNetwork,
    FittedGaussian,
    FittedMixture,
    HeldOut,
    KernelDensity,
    SupportsFitting,
    SupportsHessian,
    SupportsLowRank,
)
from hiflow.energies._fitting import check_setting_positive

KEY = jax.random.key(0)
SETTINGS = {
    FittedGaussian: {"rank": 2},
    FittedMixture: {"components": 2, "rank": 2, "epochs": 2},
    KernelDensity: {"neighbours": 5},
    EnergyNetwork: {"width": 8, "steps": 5},
}
NORMALISED = [FittedGaussian, FittedMixture, KernelDensity]
every_class = pytest.mark.parametrize("cls", SETTINGS, ids=lambda cls: cls.__name__)
normalised = pytest.mark.parametrize("cls", NORMALISED, ids=lambda cls: cls.__name__)


def gaussian_points(n, covariance, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, len(covariance))) @ np.linalg.cholesky(covariance).T


def two_clusters(n, dim=3, seed=0):
    rng = np.random.default_rng(seed)
    sign = np.where(np.arange(n) % 4 == 0, -1.0, 1.0)
    return 2 * sign[:, None] + 0.5 * rng.normal(size=(n, dim))


def fitted(cls, points, **changes):
    return cls.fit(points, key=KEY, **{**SETTINGS[cls], **changes})


def test_the_gaussian_of_the_data_is_recovered():
    U = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 2)))[0]
    covariance = 0.2 * np.eye(6) + (U * [5.0, 2.0]) @ U.T
    found = FittedGaussian.fit(gaussian_points(20_000, covariance) + 3, rank=2)
    np.testing.assert_allclose(found.mean, 3, atol=0.1)
    np.testing.assert_allclose(found.variances, [5.2, 2.2], rtol=0.05)
    np.testing.assert_allclose(found.noise, 0.2, rtol=0.02)
    inverse = np.linalg.inv(covariance)
    np.testing.assert_allclose(found.hessian(jnp.zeros(6)), inverse, atol=0.2)
    exact = (6 * (1 + np.log(2 * np.pi)) + np.linalg.slogdet(covariance)[1]) / 2
    np.testing.assert_allclose(found.entropy(), exact, atol=0.05)
    held_out = found.held_out(gaussian_points(5000, covariance, seed=2) + 3)
    assert held_out.what == "NLL, nats"
    assert abs(held_out.value - exact) < 4 * held_out.se + 0.01


def test_a_full_rank_is_the_sample_covariance(x64):
    x = gaussian_points(50, np.diag([4.0, 1.0, 0.3, 0.1])).reshape(50, 2, 2)
    found = FittedGaussian.fit(x, rank=4)
    covariance = np.cov(x.reshape(50, 4).T, bias=True)
    np.testing.assert_allclose(found.hessian(jnp.zeros((2, 2))) @ covariance, np.eye(4), atol=1e-10)
    noisy = eqx.tree_at(lambda e: e.noise, found, jnp.asarray(7.0))
    first = jnp.asarray(x[0])
    np.testing.assert_allclose(found(first), noisy(first), rtol=1e-12)


def test_fewer_points_than_coordinates_span_what_they_can(x64):
    x = np.random.default_rng(0).normal(size=(6, 20))
    found = FittedGaussian.fit(x, rank=4)
    total = np.sum(np.var(x, axis=0))
    np.testing.assert_allclose(found.variances.sum() + 16 * found.noise, total, rtol=1e-10)


@normalised
@pytest.mark.parametrize("rank", [1, 2])
def test_densities_integrate_to_one(cls, rank):
    settings = {} if cls is KernelDensity else {"rank": rank}
    energy = fitted(cls, two_clusters(60, dim=2), **settings)
    axis = jnp.linspace(-10, 10, 401)
    grid = jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = jnp.exp(-jax.jit(jax.vmap(energy))(grid))
    np.testing.assert_allclose(density.sum() * float(axis[1] - axis[0]) ** 2, 1, rtol=1e-3)


@normalised
@settings(max_examples=5)
@given(seed=st.integers(0, 999))
def test_the_low_rank_hessian_is_the_hessian(cls, seed):
    with jax.enable_x64(True):
        points = np.random.default_rng(seed).normal(size=(12, 2, 3))
        settings = {"neighbours": 12} if cls is KernelDensity else {}
        energy: AbstractEnergy = fitted(cls, points, **settings)
        assert isinstance(energy, SupportsLowRank)
        assert isinstance(energy, SupportsHessian)
        x = jnp.asarray(points[0] + 0.3)
        automatic = jax.hessian(lambda y: energy(y.reshape(2, 3)))(x.ravel())
        factors, values, rest = energy.low_rank_hessian(x)
        scale = float(jnp.abs(automatic).max())
        np.testing.assert_allclose(energy.hessian(x), automatic, atol=1e-9 * scale)
        whole = rest * jnp.eye(6) + (factors * values) @ factors.T
        np.testing.assert_allclose(whole, automatic, atol=1e-9 * scale)


def test_neighbours_left_out_only_raise_the_curvature(x64):
    points = np.random.default_rng(0).normal(size=(20, 3))
    energy = KernelDensity(points, 0.8, neighbours=4)
    factors, values, rest = energy.low_rank_hessian(jnp.zeros(3))
    assert factors.shape == (3, 4)
    whole = rest * jnp.eye(3) + (factors * values) @ factors.T
    difference = jnp.linalg.eigvalsh(whole - energy.hessian(jnp.zeros(3)))
    assert difference[0] > -1e-12
    assert 1e-3 < difference[-1] < rest


def test_narrow_kernels_far_from_the_origin_keep_their_digits():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(300, 5)).astype(np.float32) * 10
    x = (centres + 3e-4 * rng.normal(size=centres.shape)).astype(np.float32)
    with jax.enable_x64(True):
        exact = jax.vmap(KernelDensity(centres.astype(float), 1e-4))(jnp.asarray(x, float))
    found = jax.vmap(KernelDensity(centres, 1e-4))(jnp.asarray(x))
    np.testing.assert_allclose(found, exact, atol=5e-3)


def test_every_epoch_raises_the_likelihood(x64):
    x = np.random.default_rng(3).normal(size=(200, 3)) ** 3
    loss = [fitted(FittedMixture, x, epochs=e, rank=1).held_out(x).value for e in (1, 2, 4, 8)]
    assert np.all(np.diff(loss) < 0.01)
    assert loss[-1] < loss[0] - 0.1
    assert loss[-1] < FittedGaussian.fit(x, rank=1).held_out(x).value - 1


def test_batches_change_nothing_but_the_memory(x64):
    x = two_clusters(50)
    whole, parts = (fitted(FittedMixture, x, batch_size=b) for b in (1000, 7))
    np.testing.assert_allclose(whole.means, parts.means, rtol=1e-8)
    np.testing.assert_allclose(whole.variances, parts.variances, rtol=1e-8)


def test_well_separated_clusters_are_found():
    rng = np.random.default_rng(0)
    centres = 6 * rng.normal(size=(5, 2, 4))
    member = np.repeat(np.arange(5), [100, 150, 200, 250, 300])
    found = FittedMixture.fit(
        centres[member] + rng.normal(size=(1000, 2, 4)), key=KEY, components=5, rank=1, epochs=4
    )
    nearest = np.abs(np.asarray(found.means)[:, None] - centres).max(axis=(2, 3))
    assert sorted(nearest.argmin(1)) == list(range(5))
    np.testing.assert_allclose(nearest.min(1), 0, atol=0.4)
    order = nearest.argmin(0)
    np.testing.assert_allclose(found.weights[order], [0.1, 0.15, 0.2, 0.25, 0.3], atol=1e-3)


@pytest.mark.parametrize("dim", [5, 220])
def test_a_mixture_of_one_is_the_gaussian(dim, x64):
    variances = np.append([9.0, 4.0], np.full(dim - 2, 0.5))
    x = np.random.default_rng(0).normal(size=(300, dim)) * np.sqrt(variances)
    one, other = fitted(FittedMixture, x, components=1), FittedGaussian.fit(x, rank=2)
    np.testing.assert_allclose(one(jnp.asarray(x[0])), other(jnp.asarray(x[0])), rtol=1e-4)
    np.testing.assert_allclose(np.sort(one.variances[0])[::-1], other.variances, rtol=1e-3)


def test_few_points_and_constant_coordinates_are_no_harm():
    x = np.random.default_rng(0).normal(size=(9, 12))
    x[:, 3] = 1.0
    energy = FittedMixture.fit(x, key=KEY, components=5, rank=4, floor=1e-3)
    least = 0.99e-3 * x.var(axis=0).mean()
    assert float(jnp.minimum(energy.variances.min(), energy.noises.min())) >= least
    duplicates = np.repeat([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [15, 5], axis=0)
    for found in (energy, FittedMixture.fit(duplicates, key=KEY, components=4, rank=1, epochs=3)):
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(found))
    line = np.array([[-1.0, 0.0], [1.0, 0.0]])
    assert float(FittedGaussian.fit(line, rank=1).noise) == pytest.approx(0.5e-4)


@pytest.mark.parametrize("cls", [FittedGaussian, FittedMixture])
@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_units_of_the_points_change_no_more_than_the_units_of_the_density(cls, unit, x64):
    x = two_clusters(60)
    one, other = (fitted(cls, s * x).held_out(s * x).value for s in (1.0, unit))
    np.testing.assert_allclose(other - 3 * np.log(unit), one, rtol=1e-3)


@normalised
def test_samples_are_those_of_the_density(cls):
    energy = fitted(cls, two_clusters(100))
    x = jax.vmap(energy.sample)(jax.random.split(KEY, 4000))
    np.testing.assert_allclose(x.mean(0), two_clusters(100).mean(0), atol=0.15)
    np.testing.assert_allclose(
        np.linalg.norm(x - x.mean(0), axis=1).mean(),
        np.linalg.norm(two_clusters(100) - two_clusters(100).mean(0), axis=1).mean(),
        atol=0.25,
    )


def test_kernels_of_clusters_that_are_far_apart_keep_their_digits():
    """Also those beyond the neighbours: 1,000 of width 0.7 at ±10,000, under kernels of 0.5."""
    rng = np.random.default_rng(0)
    centres = 0.7 * rng.normal(size=(2_000, 2)) + 1e4 * np.repeat([1, -1], 1_000)[:, None]
    centres = centres.astype(np.float32)
    x = (centres[::50] + 0.3 * rng.normal(size=(40, 2))).astype(np.float32)
    c, y = centres.astype(float), x.astype(float)
    squares = ((y[:, None] - c) ** 2).sum(-1)
    r = softmax(-2 * squares, axis=1)
    energy = KernelDensity(centres, 0.5)
    expected = np.log(2_000 * 2 * np.pi * 0.25) - logsumexp(-2 * squares, axis=1)
    np.testing.assert_allclose(jax.vmap(energy)(jnp.asarray(x)), expected, rtol=1e-5)
    slope = np.einsum("ij,ijk->ik", r, (y[:, None] - c) / 0.25)
    np.testing.assert_allclose(jax.vmap(jax.grad(energy))(x), slope, atol=0.02)


def test_the_order_of_the_points_is_no_matter_of_the_bandwidth():
    """The first 1,000 of these are a cluster of its own, a hundredth as wide as the rest."""
    rng = np.random.default_rng(0)
    points = np.concatenate([0.01 * rng.normal(size=(1_000, 2)), 5 + rng.normal(size=(4_000, 2))])
    found = [float(KernelDensity.fit(x).bandwidth) for x in (points, rng.permutation(points))]
    assert 0.7 < found[0] / found[1] < 1.4


@pytest.mark.parametrize("value", ["auto", True, np.array([1.0, 2.0])])
def test_a_setting_that_is_no_number_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"K: `bandwidth` must be positive"):
        check_setting_positive("K", bandwidth=value)


@pytest.mark.parametrize("dim", [2, 5])
def test_the_bandwidth_is_near_that_of_the_best_held_out_likelihood(dim):
    rng = np.random.default_rng(0)
    points, test = rng.normal(size=(300, dim)), rng.normal(size=(1000, dim))
    chosen = KernelDensity.fit(points)
    oracle = min(
        KernelDensity.fit(points, bandwidth=h).held_out(test).value
        for h in np.geomspace(0.05, 2, 16)
    )
    assert chosen.held_out(test).value < oracle + 0.05


def test_a_network_learns_the_score_of_the_blurred_data():
    covariance = np.diag([2.0, 0.2])
    points = gaussian_points(4000, covariance)
    energy = EnergyNetwork.fit(points, key=KEY, width=32, steps=1500, learning_rate=3e-3)
    blurred = covariance + float(energy.sigma) ** 2 * np.eye(2)
    np.testing.assert_allclose(energy.sigma, 0.5 * np.sqrt(1.1), rtol=0.05)
    x = gaussian_points(500, blurred, seed=1).astype(np.float32)
    expected = x @ np.linalg.inv(blurred)
    gradients = jax.jit(jax.vmap(jax.grad(energy)))(x)
    error = np.sqrt(np.mean((gradients - expected) ** 2) / np.mean(expected**2))
    assert error < 0.15
    # A Gaussian's linear denoiser is the best there is.
    held_out = energy.held_out(gaussian_points(500, covariance, seed=2))
    assert held_out.what == "denoising error relative to a Gaussian's"
    assert abs(held_out.value - 1) < 0.02


def test_a_network_denoises_clusters_better_than_a_gaussian():
    energy = EnergyNetwork.fit(
        two_clusters(1000, dim=2), key=KEY, width=32, steps=600, learning_rate=3e-3
    )
    held_out = energy.held_out(two_clusters(200, dim=2, seed=1))
    assert held_out.value + 3 * held_out.se < 0.95


@every_class
def test_a_blank_has_the_form_of_a_fit(cls):
    points = two_clusters(5).reshape(5, 3, 1)
    found, blank = fitted(cls, points), cls.blank((3, 1), **SETTINGS[cls])
    assert issubclass(cls, SupportsFitting)
    assert isinstance(found, SupportsFitting)
    assert jax.tree.structure(found) == jax.tree.structure(blank)
    # A network's Gaussian to compare with has no more directions than the points show.
    assert [a.shape for a in jax.tree.leaves(found)] == [b.shape for b in jax.tree.leaves(blank)]
    assert bool(jnp.isfinite(blank(jnp.zeros((3, 1)))))


@every_class
def test_files_give_back_what_was_saved(cls, tmp_path):
    energy = fitted(cls, two_clusters(20).astype(np.float32))
    energies.save(energy, tmp_path / "energy.hiflow")
    loaded = energies.load(tmp_path / "energy.hiflow")
    assert type(loaded) is cls
    assert eqx.tree_equal(loaded, energy)


def test_a_file_of_something_else_is_refused(tmp_path):
    save_anything(priors.Normal(2), tmp_path / "prior")
    with pytest.raises(ValueError, match="holds a Normal, not an energy"):
        energies.load(tmp_path / "prior")
    with pytest.raises(FileNotFoundError):
        energies.load(tmp_path / "nothing")


@every_class
def test_a_fit_reads_integers_and_is_reproducible(cls):
    points = np.random.default_rng(0).integers(0, 17, size=(8, 2, 2))
    assert eqx.tree_equal(fitted(cls, points), fitted(cls, points))


@every_class
@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.ones(3), r"must have shape \(n, \*event\), got \(3,\)"),
        (np.ones((1, 3)), "at least 2, got 1"),
        (np.array([[0.0, 0, 0], [1, np.nan, 1], [2, 0, 1]]), "1 of 3 points, first at index 1"),
    ],
)
def test_points_that_are_none_are_refused(cls, points, message):
    with pytest.raises(ValueError, match=message):
        fitted(cls, points)
    with pytest.raises(ValueError, match=message):
        cls.blank((3,), **SETTINGS[cls]).held_out(points)


@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (FittedGaussian, {"rank": 0}, "`rank` must be a whole number from 1 to the 3"),
        (FittedGaussian, {"rank": 4}, "from 1 to the 3 coordinates of an event, got 4"),
        (FittedGaussian, {"floor": 0.0}, "`floor` must be positive"),
        (FittedMixture, {"rank": 4}, "`rank` must be a whole number from 1"),
        (FittedMixture, {"components": 0}, "`components` must be a whole number of at least 1"),
        (FittedMixture, {"epochs": 0}, "`epochs` must be"),
        (FittedMixture, {"batch_size": 0}, "`batch_size` must be"),
        (FittedMixture, {"floor": -1.0}, "`floor` must be positive"),
        (KernelDensity, {"bandwidth": 0.0}, "`bandwidth` must be positive"),
        (KernelDensity, {"neighbours": 0}, "`neighbours` must be"),
        (EnergyNetwork, {"sigma": -1.0}, "`sigma` must be positive"),
        (EnergyNetwork, {"width": 0}, "`width` must be"),
        (EnergyNetwork, {"depth": 0}, "`depth` must be"),
        (EnergyNetwork, {"steps": 0}, "`steps` must be"),
        (EnergyNetwork, {"learning_rate": float("nan")}, "`learning_rate` must be positive"),
    ],
)
def test_settings_out_of_range_are_refused_with_and_without_data(cls, changes, message):
    with pytest.raises(ValueError, match=message):
        fitted(cls, two_clusters(10), **changes)
    with pytest.raises(ValueError, match=message):
        cls.blank((3,), **{**SETTINGS[cls], **changes})


EYE = np.eye(3, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FittedGaussian.fit(np.eye(3), rank=3), "more than `rank` = 3"),
        (lambda: FittedMixture.fit(np.eye(3), key=KEY, rank=1), "the 10 `components`, got 3"),
        (lambda: KernelDensity.fit(np.ones((4, 2))), "duplicates of others"),
        (lambda: EnergyNetwork.fit(np.ones((4, 2)), key=KEY), "all the same"),
        (lambda: FittedGaussian.fit(np.ones((4, 2)), rank=1), "all the same"),
        (lambda: FittedMixture.fit(np.ones((4, 2)), key=KEY, components=2, rank=1), "all the same"),
        (lambda: FittedGaussian(np.ones(2), EYE, [1.0], 1.0), "dim = 2"),
        (lambda: FittedGaussian(np.ones(3), 2 * EYE, [1.0], 1.0), "orthonormal"),
        (lambda: FittedGaussian(np.ones(3), EYE, [-1.0], 1.0), "`variances` must be positive"),
        (lambda: FittedMixture([[1.0] * 3], [EYE], [[1.0]], [1.0, 2.0], [1.0]), "`noises`"),
        (lambda: FittedMixture([[1.0] * 3], [EYE], [[1.0]], [1.0], [0.0]), "`weights` must be"),
        (lambda: KernelDensity(np.ones(3), 1.0), "at least one centre"),
        (lambda: KernelDensity([[np.inf]], 1.0), "NaN or infinity"),
        (lambda: EnergyNetwork((), 1.0, FittedGaussian.example(), 1.0), "`layers` must start"),
        (lambda: FittedMixture.example()(jnp.zeros(2)), "event shape"),
    ],
)
def test_what_does_not_fit_together_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_figure_is_a_mean_with_its_error():
    found = FittedGaussian.example().held_out(np.zeros((4, 3)))
    assert isinstance(found, HeldOut)
    np.testing.assert_allclose(found.value, FittedGaussian.example()(jnp.zeros(3)), rtol=1e-5)
    assert found.se == pytest.approx(0, abs=1e-6)
