"""An end law is right for any prior and any pairs, by noise of its own where the prior's is wrong."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.paths import choose_noise, end_law_samples, make_anchors
from hiflow.paths._noise import Noise
from hiflow.training._draws import Batches
from hiflow.training._optimiser import Scheduled
from hiflow.training._step import Recipe

ENERGY = hf.energies.Gaussian(jnp.array([1.0, -2.0]), jnp.array([1.0, 25.0]))
POINT = jnp.array([1.5, -1.9])
N = 20_000


class Shifted(hf.priors.AbstractPrior):
    """N(5, 1): no scale makes it the normal law that a path assumes."""

    event_shape: tuple[int, ...] = (2,)
    group: hf.groups.AbstractGroup = hf.groups.Trivial()

    def sample(self, key):
        return 5 + jax.random.normal(key, self.event_shape)

    def log_prob(self, x):
        return jax.scipy.stats.norm.logpdf(x, 5.0).sum()


class Even(hf.priors.AbstractPrior):
    """Uniform on a square about 0."""

    event_shape: tuple[int, ...] = (2,)
    group: hf.groups.AbstractGroup = hf.groups.Trivial()

    def sample(self, key):
        return jax.random.uniform(key, self.event_shape, minval=-3.0, maxval=3.0)

    def log_prob(self, x):
        return jnp.where(jnp.abs(x).max() <= 3, -2 * jnp.log(6.0), -jnp.inf)


PRIORS = {"shifted": Shifted(), "even": Even(), "normal": hf.priors.Normal(2)}
PATHS = {
    "langevin": lambda noise: hf.paths.Langevin(ENERGY, beta=2.0, noise=noise),
    "relaxed": lambda noise: hf.paths.Relaxed(ENERGY, step=0.7, noise=noise),
    "other rates": lambda noise: hf.paths.Langevin(ENERGY, rates="saturating", noise=noise),
}


def assert_end_law(ends, anchor):
    """Mean and covariance are the anchor's, in standard errors."""
    y = (ends - anchor.centre).reshape(len(ends), -1)
    z = jax.vmap(anchor.modes.components)(y)
    z = z / jnp.sqrt(anchor.variance[: z.shape[1]])
    n = np.sqrt(len(z))
    assert np.abs(z.mean(0)).max() * n < 5
    assert np.abs(z.T @ z / len(z) - np.eye(z.shape[1])).max() * n < 7


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("name", PATHS)
def test_the_end_law_is_right_for_every_prior(name, prior):
    path = PATHS[name]("auto")
    anchors = make_anchors(path, jnp.broadcast_to(POINT, (N, 2)))
    ends = end_law_samples(path, anchors, PRIORS[prior], key=jax.random.key(0))
    assert_end_law(ends, path.anchor(POINT))


def test_noise_of_an_even_prior_would_be_too_wide():
    path = PATHS["langevin"]("auto")
    x0 = jax.vmap(Even().sample)(jax.random.split(jax.random.key(0), N))
    anchor = path.anchor(POINT)
    ends = jax.vmap(lambda x: path.flow(x, anchor, jnp.ones(())))(x0)
    ratio = (ends - anchor.centre).std(0) / jnp.sqrt(anchor.variance)
    np.testing.assert_allclose(ratio, np.sqrt(3.0), rtol=0.03)


@pytest.mark.parametrize("coupling", ["minibatch-ot", "symmetry-aligned", "precomputed"])
def test_the_end_law_is_right_for_every_coupling(coupling):
    """Through the very batches that training sees, at the last time there is."""
    energy = hf.energies.LennardJones(4, 2)
    prior = hf.priors.CentredNormal(4, 2)
    points = hf.testing.relaxed_points(energy, jax.random.key(1), 2)
    path = hf.paths.Relaxed(energy, curvature={"name": "absolute", "shift": 30.0})
    coupling = hf.couplings.registry.make(coupling, group=energy.group)
    if isinstance(coupling, hf.couplings.SupportsPreparation):
        coupling = coupling.prepare(prior, points, jax.random.key(2))
    noise = choose_noise(path, prior, coupling)
    assert noise.own
    assert noise.reason is not None
    assert "chooses the prior sample by the data point" in noise.reason
    ends = ends_of_training(path, prior, coupling, points, own=True)
    assert_end_law(ends, path.anchor(points[0]))
    leaning = ends_of_training(path, prior, coupling, points, own=False)
    with pytest.raises(AssertionError):
        assert_end_law(leaning, path.anchor(points[0]))


def test_noise_of_its_own_adds_the_variance_that_its_page_says():
    r"""Given x_1, to targets of rate 1: $\tfrac\pi2 s_0\sqrt C$ per mode, and to the other form none."""
    forms: list[tuple[Noise, float]] = [("own", np.pi / 2), ("prior", 0.0)]
    for noise, expected in forms:
        path = hf.paths.Langevin(ENERGY, beta=2.0, prior_scale=1.4, noise=noise)
        anchor = path.anchor(POINT)
        assert anchor.variance is not None

        @jax.jit
        @jax.vmap
        def surprise(t, key, path=path, anchor=anchor):
            k_x, k_draw = jax.random.split(key)
            drawn = path.draw(anchor, key=k_draw) if path.noise == "own" else anchor
            x, u = path.flow_and_velocity(1.4 * jax.random.normal(k_x, (2,)), drawn, t)
            return (anchor.modes.components(u - path.velocity(x, anchor, t))) ** 2

        t = (jnp.arange(100_000) + 0.5) / 100_000
        found = surprise(t, jax.random.split(jax.random.key(0), len(t))).mean(0)
        np.testing.assert_allclose(
            found, expected * 1.4 * jnp.sqrt(anchor.variance), rtol=0.05, atol=1e-6
        )


class AtTheEnd(hf.time_samplers.AbstractTimeSampler):
    def __call__(self, key, n):
        return jnp.ones(n), jnp.ones(n)


def ends_of_training(path, prior, coupling, points, own):
    """Of the first point."""
    batches = Batches(points, prior, coupling, AtTheEnd(), None, jax.random.key(0), size=64)
    anchors = make_anchors(path, points)
    optimiser = Scheduled("adam", 1e-3, 0, 1.0, 10)
    recipe = Recipe(anchors, path, None, None, optimiser, 0.0, own)

    @jax.jit
    def ends(step):
        draw = batches.draw(step)
        return draw.index, recipe.batch(draw)[2]

    index, x = (jnp.concatenate(every) for every in zip(*map(ends, jnp.arange(40)), strict=True))
    return x[index == 0]


def test_a_flow_reaches_the_end_law_from_a_prior_that_is_not_normal():
    """At one data point the trained flow is to be the end law itself."""
    path = hf.paths.Langevin(ENERGY, noise="own")
    network = hf.networks.MLP((2,), 32, 2, key=jax.random.key(0))
    flow = hf.fit(
        network, path, POINT[None], prior=Shifted(), key=jax.random.key(1), steps=1500,
        learning_rate=3e-3, ema=0.99, progress=False,
    )  # fmt: skip
    x = flow.sample(jax.random.key(2), 4000)
    np.testing.assert_allclose(x.mean(0), POINT, atol=0.05)
    variance = path.anchor(POINT).variance
    assert variance is not None
    np.testing.assert_allclose(x.std(0), jnp.sqrt(variance), rtol=0.12)


def fit(path, prior=None, **settings):
    network = hf.networks.MLP((2,), 4, 1, key=jax.random.key(0))
    return hf.fit(
        network, path, POINT[None], prior=prior or Shifted(), key=jax.random.key(1), steps=2,
        progress=False, **settings,
    )  # fmt: skip


def test_training_says_why_it_takes_noise_of_its_own():
    with pytest.warns(UserWarning, match=r"`prior` \(Shifted\) isn't normal .* noise of its own"):
        fit(hf.paths.Langevin(ENERGY))
    with pytest.warns(UserWarning, match=r"`coupling` \(MinibatchOT\) chooses"):
        fit(hf.paths.Relaxed(ENERGY), hf.priors.Normal(2), coupling="minibatch-ot")


def test_training_is_silent_where_the_noise_is_chosen_or_the_priors_is_right():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(hf.paths.Langevin(ENERGY, noise="own"))
        fit(hf.paths.Langevin(ENERGY), hf.priors.Normal(2))
        fit(hf.paths.Linearised(ENERGY))


def test_noise_of_the_prior_sample_is_refused_where_it_is_wrong():
    path = hf.paths.Langevin(ENERGY, noise="prior")
    with pytest.raises(ValueError, match=r"`prior` \(Shifted\) isn't normal .* noise='own'"):
        fit(path)
    with pytest.raises(ValueError, match="would lean towards the data point"):
        fit(path, hf.priors.Normal(2), coupling="minibatch-ot")
    with pytest.raises(ValueError, match="isn't normal"):
        end_law_samples(path, make_anchors(path, POINT[None]), Even(), key=jax.random.key(0))
    fit(path, hf.priors.Normal(2))


def test_a_path_that_can_draw_nothing_is_refused_where_the_priors_noise_is_wrong():
    class Plain(hf.paths.AbstractGaussianPath):
        energy: hf.energies.AbstractEnergy
        prior_scale: jax.Array

        def anchor(self, x1):
            ones = jnp.ones(2)
            return hf.paths.SpectralAnchor(x1, hf.spectrum.Modes(size=2), ones, ones)

        def frame(self, anchor):
            return anchor

        def schedule(self, t, frame):
            return 1 - t + 0 * frame.speeds, jnp.ones(2)

    plain = Plain(energy=ENERGY, prior_scale=jnp.ones(()))
    with pytest.raises(ValueError, match=r"isn't normal .* give the path a method `draw`"):
        fit(plain)
    fit(plain, hf.priors.Normal(2))


def test_the_scale_of_the_prior_only_matters_where_its_noise_is_taken():
    wide = hf.priors.Normal(2, scale=2.0)
    with pytest.raises(ValueError, match=r"Pass prior_scale=2\.0"):
        fit(hf.paths.Langevin(ENERGY), wide)
    fit(hf.paths.Langevin(ENERGY, noise="own"), wide)


@pytest.mark.parametrize("noise", ["ours", None])
def test_other_words_for_the_noise_are_refused(noise):
    with pytest.raises((ValueError, TypeError), match="noise"):
        hf.paths.Langevin(ENERGY, noise=noise)


def test_draws_of_the_same_seed_are_the_same_from_memory_and_disk(tmp_path):
    path = hf.paths.Langevin(ENERGY, noise="own")
    memory, disk = fit(path), fit(path, anchor_dir=tmp_path)
    for a, b in zip(jax.tree.leaves(memory), jax.tree.leaves(disk), strict=True):
        np.testing.assert_array_equal(a, b)
    other = fit(hf.paths.Langevin(ENERGY, noise="prior"), hf.priors.Normal(2))
    same = fit(hf.paths.Langevin(ENERGY), hf.priors.Normal(2))
    for a, b in zip(jax.tree.leaves(other), jax.tree.leaves(same), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_shared_basis_draws_too():
    data = jax.random.normal(jax.random.key(0), (200, 3)) * jnp.array([1.0, 0.3, 2.0])
    energy = hf.energies.FittedGaussian.fit(data, rank=2)
    path = hf.paths.Relaxed(energy, hessian="shared-basis", noise="own")
    anchors = make_anchors(path, jnp.broadcast_to(data[0], (4000, 3)))
    ends = end_law_samples(path, anchors, hf.priors.Normal(3), key=jax.random.key(1))
    assert_end_law(ends, path.frame(path.anchor(data[0])))
