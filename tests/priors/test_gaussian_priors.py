"""Priors with a shape: their densities, what they are estimated from, and paths that start from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import hiflow as hf
from hiflow import energies, groups, paths
from hiflow.paths import ConditionalLaw
from hiflow.priors import AbstractPrior, CentredNormal, GaussianPrior, Normal, ParticleGaussianPrior
from hiflow.testing import BrokenLawsError, check_path, check_prior

RANDOM = np.random.default_rng(0)
SLANTED = np.array([[1.0, 0.6], [0.6, 0.5]])
CHAIN = 0.3 * np.minimum.outer(np.arange(4.0), np.arange(4.0)) + np.eye(4) / 4


def log_normal(x, mean, S):
    off = x - mean
    return -(off @ np.linalg.solve(S, off) + np.linalg.slogdet(2 * np.pi * S)[1]) / 2


def beads(dim=2, species=None):
    return ParticleGaussianPrior(CHAIN, dim, species)


def test_the_density_is_the_formulas(x64):
    S = np.cov(RANDOM.normal(size=(6, 20)))
    mean, x = RANDOM.normal(size=(2, 2, 3))
    found = GaussianPrior(S, (2, 3), mean).log_prob(jnp.asarray(x))
    expected = log_normal(x.ravel(), mean.ravel(), S)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    variances = GaussianPrior(np.diag(S).reshape(2, 3), (2, 3)).log_prob(jnp.asarray(x))
    diagonal = stats.norm.logpdf(x.ravel(), mean.ravel() * 0, np.sqrt(np.diag(S))).sum()
    np.testing.assert_allclose(variances, diagonal, rtol=1e-9)


def test_the_density_of_particles_is_that_on_the_centred_subspace(x64):
    x = RANDOM.normal(size=(4, 3)) + 5
    P = np.eye(4) - 1 / 4
    # On orthonormal coordinates of the subspace, one Gaussian for each direction of space.
    B = np.linalg.svd(P)[0][:, :3]
    matrix, none = B.T @ CHAIN @ B, np.zeros(3)
    expected = sum(log_normal(B.T @ one, none, matrix) for one in x.T)
    np.testing.assert_allclose(beads(3).log_prob(jnp.asarray(x)), expected, rtol=1e-9)
    matrix = np.kron(P @ CHAIN @ P, np.eye(3))
    np.testing.assert_allclose(beads(3).covariance_matrix, matrix, atol=1e-12)


@pytest.mark.parametrize("make", [
    GaussianPrior.example,
    lambda: GaussianPrior(np.array([1.0, 1.0, 0.2, 0.2]), (2, 2), group=groups.Rotation(2)),
    lambda: GaussianPrior(np.array([[2.0, 0.5], [0.5, 2.0]]), 2, 1.0, groups.Permutation()),
    beads,
    lambda: ParticleGaussianPrior(np.eye(3) + 0.2, 2, ("H", "H", "O")),
])  # fmt: skip
def test_laws_hold(make, x64):
    check_prior(make())


def test_a_multiple_of_the_identity_is_the_normal_prior(x64):
    x = jnp.asarray(RANDOM.normal(size=(4, 2)))
    one = GaussianPrior(np.full((4, 2), 0.49), (4, 2)).log_prob(x)
    np.testing.assert_allclose(one, Normal((4, 2), scale=0.7).log_prob(x), rtol=1e-9)
    two = ParticleGaussianPrior(0.49 * np.eye(4), 2).log_prob(x)
    np.testing.assert_allclose(two, CentredNormal(4, 2, scale=0.7).log_prob(x), rtol=1e-9)


def test_without_shrinkage_the_fit_is_the_sample_covariance(x64):
    data = RANDOM.multivariate_normal([1.0, 2.0], SLANTED, 500)
    found = GaussianPrior.fit(data, shrinkage=0.0)
    np.testing.assert_allclose(found.covariance, np.cov(data.T, ddof=0), rtol=1e-9)
    np.testing.assert_allclose(found.mean, data.mean(0), rtol=1e-9)
    features = GaussianPrior.fit_features(data)
    np.testing.assert_allclose(features.covariance, data.var(0), rtol=1e-9)
    half = GaussianPrior.fit(data, shrinkage=0.5).covariance
    level = np.trace(found.covariance) / 2 * np.eye(2)
    np.testing.assert_allclose(half, (found.covariance + level) / 2, rtol=1e-9)


@pytest.mark.parametrize("n", [5, 40])
def test_the_default_shrinkage_is_ledoit_and_wolfs(n, x64):
    covariance = pytest.importorskip("sklearn.covariance")
    data = RANDOM.normal(size=(n, 8)) * np.linspace(0.3, 2, 8)
    expected, _ = covariance.ledoit_wolf(data)
    np.testing.assert_allclose(GaussianPrior.fit(data).covariance, expected, rtol=1e-6)


def test_the_fit_of_particles_is_blind_to_how_each_is_turned_and_placed(x64):
    x = np.asarray(jax.vmap(beads(3).sample)(jax.random.split(jax.random.key(0), 4_000)))
    turn = groups.Rotation(3)
    g = jax.vmap(lambda key: turn.sample(key, (4, 3)))(jax.random.split(jax.random.key(1), 4_000))
    moved = np.asarray(jax.vmap(turn.act)(g, jnp.asarray(x))) + RANDOM.normal(size=(4_000, 1, 3))
    here, there = (ParticleGaussianPrior.fit(y, shrinkage=0.0) for y in (x, moved))
    np.testing.assert_allclose(here.covariance, there.covariance, atol=1e-6)
    np.testing.assert_allclose(here.covariance_matrix, beads(3).covariance_matrix, atol=0.05)
    alike = ParticleGaussianPrior.fit(x, species=("A", "A", "B", "B"))
    check_prior(alike)


def test_from_a_wells_hessian_the_prior_is_its_thermal_law(x64):
    K = np.linalg.inv(SLANTED)
    np.testing.assert_allclose(GaussianPrior.from_hessian(K, 2, floor=0.1).covariance, SLANTED)
    floored = GaussianPrior.from_hessian(np.diag([4.0, -0.1]), 2, floor=0.5)
    np.testing.assert_allclose(floored.covariance, np.diag([0.25, 2.0]), atol=1e-12)
    P = np.eye(4) - 1 / 4
    H = np.kron(np.linalg.pinv(P @ CHAIN @ P), np.eye(3))
    found = ParticleGaussianPrior.from_hessian(H, floor=1e-3)
    np.testing.assert_allclose(found.covariance_matrix, beads(3).covariance_matrix, atol=1e-9)


def matrix():
    plane, chain = GaussianPrior.example, beads
    lj4 = energies.LennardJones(4, 2)
    return {
        "optimal-transport": (lambda: paths.OptimalTransport(), plane),
        "optimal-transport, particles": (
            lambda: paths.OptimalTransport(group=beads().group),
            chain,
        ),
        "cosine": (lambda: paths.Cosine(), plane),
        "variance-preserving": (lambda: paths.VariancePreserving(), plane),
        "linearised": (lambda: paths.Linearised("ring"), plane),
        "langevin": (lambda: paths.Langevin("ring"), plane),
        "relaxed, particles": (lambda: paths.Relaxed(lj4, noise="own"), chain),
    }


@pytest.mark.parametrize("case", matrix())
def test_paths_obey_their_laws_from_a_prior_with_a_shape(case, x64):
    path, prior = (make() for make in matrix()[case])
    found = check_path(path, prior=prior)
    assert "shaped continuity" in found


class Boastful(AbstractPrior):
    """Says that it is wider than it is."""

    inner: GaussianPrior
    event_shape = (2,)
    group = groups.Trivial()

    @property
    def mean(self):
        return jnp.zeros(())

    @property
    def covariance_matrix(self):
        return 1.5 * self.inner.covariance

    def sample(self, key):
        return self.inner.sample(key)

    def log_prob(self, x):
        return self.inner.log_prob(x)


def test_a_law_of_another_covariance_is_noticed(x64):
    with pytest.raises(BrokenLawsError, match="shaped start") as error:
        check_path(paths.OptimalTransport(), prior=Boastful(GaussianPrior(SLANTED, 2)))
    assert "shaped samples" in str(error.value)


def test_of_a_normal_prior_the_law_is_the_paths_own(x64):
    path, t = paths.Langevin("ring", noise="prior"), jnp.asarray(0.4)
    law, x = ConditionalLaw(path, Normal(2)), jnp.array([0.3, -1.2])
    anchor = path.anchor(jnp.array([2.0, 0.5]))
    for name in ("log_prob", "score", "velocity"):
        np.testing.assert_allclose(
            getattr(law, name)(x, anchor, t), getattr(path, name)(x, anchor, t)
        )
    np.testing.assert_allclose(law.divergence(anchor, t), path.divergence(anchor, t))
    np.testing.assert_allclose(law.mean(anchor, t), path.mean(anchor, t))


def test_an_end_law_cannot_take_this_noise():
    path = paths.Langevin("ring", noise="prior")
    with pytest.raises(ValueError, match="isn't normal with mean 0 and scale 1"):
        ConditionalLaw(path, GaussianPrior.example())
    network = hf.networks.MLP(2, 4, 1, key=jax.random.key(0))
    energy = energies.FunctionEnergy(lambda x: jnp.sum(x**4), shape=2)
    path = paths.Langevin(energy, noise="prior")
    with pytest.raises(ValueError, match="isn't normal with mean 0 and scale 1"):
        hf.fit(
            network, path, jnp.ones((20, 2)), prior=GaussianPrior.example(), key=jax.random.key(0)
        )


def test_a_flow_from_a_table_is_trained_saved_and_read(tmp_path):
    data = jnp.asarray(RANDOM.multivariate_normal([0, 0], SLANTED, 64), jnp.float32)
    table = {"name": "gaussian", "covariance": SLANTED.tolist()}
    flow = hf.fit(
        {"name": "mlp", "width": 8, "depth": 1}, "optimal-transport", data, prior=table,
        steps=3, batch_size=8, key=jax.random.key(0), progress=False,
    )  # fmt: skip
    assert isinstance(flow.prior, GaussianPrior)
    flow.save(tmp_path / "a.hiflow")
    again = hf.load(tmp_path / "a.hiflow")
    np.testing.assert_array_equal(again.log_prob(data[:3]), flow.log_prob(data[:3]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianPrior(np.eye(3), 2), r"`covariance` must be of shape \(2, 2\)"),
        (lambda: GaussianPrior(np.diag([1.0, -1.0]), 2), "must be positive definite"),
        (lambda: GaussianPrior(np.diag([1.0, 1e-9]), 2), "Shrink it"),
        (lambda: GaussianPrior([[1.0, 0.5], [0.0, 1.0]], 2), "must be symmetric"),
        (lambda: GaussianPrior(np.eye(2), 2, np.ones(3)), "`mean` must be a number or of"),
        (lambda: GaussianPrior(SLANTED, 2, group=groups.Rotation(2)), "changes the covariance"),
        (lambda: GaussianPrior(np.eye(2), 2, np.ones(2), groups.Rotation(2)), "changes the mean"),
        (
            lambda: GaussianPrior(np.ones((4, 2)), (4, 2), group=groups.Translation()),
            "Use ParticleGaussianPrior",
        ),
        (lambda: GaussianPrior.fit(np.ones((5, 2))), "are the same"),
        (lambda: GaussianPrior.fit(np.eye(2), shrinkage=2.0), r"`shrinkage` must be in \[0, 1\]"),
        (lambda: GaussianPrior.from_hessian(np.eye(2), 2, floor=0.0), "`floor` must be positive"),
        (lambda: GaussianPrior.from_hessian(np.eye(3), 2), r"`hessian` must be of shape \(2, 2\)"),
        (lambda: ParticleGaussianPrior(np.ones((4, 4))), "must be positive definite"),
        (lambda: ParticleGaussianPrior(np.ones((4, 3))), "at least 2 particles|least 2 particles"),
        (lambda: beads(species=("A", "A", "B", "C")), "tells particles of one of the `species` apart"),
        (lambda: ParticleGaussianPrior.fit(np.ones((4, 3))), r"\(n, particles, dim\)"),
        (lambda: ParticleGaussianPrior.from_hessian(np.eye(4)), "`hessian` must be of shape"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
