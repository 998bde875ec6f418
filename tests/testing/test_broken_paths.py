"""`check_path` refuses paths that break a law, and says which."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from hiflow import energies, groups, paths, priors
from hiflow.energies import AbstractEnergy
from hiflow.paths import AbstractEndLaw, AbstractPath, OptimalTransport, end_laws
from hiflow.paths._noise import Noise
from hiflow.testing import check_path

PRIOR = priors.Normal((2,), group=groups.Rotation(2))


class WrongSign(OptimalTransport):
    def velocity(self, x, anchor, t):
        return -super().velocity(x, anchor, t)


class WrongNormaliser(OptimalTransport):
    def log_prob(self, x, anchor, t):
        return super().log_prob(x, anchor, t) + t


class WrongDivergence(OptimalTransport):
    def divergence(self, anchor, t):
        return super().divergence(anchor, t) / 2


class WrongScore(OptimalTransport):
    def score(self, x, anchor, t):
        return 1.5 * super().score(x, anchor, t)


class WrongMean(OptimalTransport):
    def mean(self, anchor, t):
        return super().mean(anchor, t) + 0.5


class StopsHalfway(OptimalTransport):
    def schedule(self, t, frame):
        alpha, sigma = super().schedule(t, frame)
        return 1 - t / 2 + 0 * alpha, sigma


class WrongTarget(OptimalTransport):
    def flow_and_velocity(self, x0, anchor, t):
        x_t, velocity = super().flow_and_velocity(x0, anchor, t)
        return x_t, 2 * velocity


class Steep(OptimalTransport):
    def schedule(self, t, frame):
        return super().schedule(jnp.sqrt(t), frame)


class PrefersAnAxis(OptimalTransport):
    def flow(self, x0, anchor, t):
        stretch = jnp.asarray([1.0, 1.0 - 0.5 * t * (1 - t)])
        return super().flow(stretch * x0, anchor, t)


class Drifts(OptimalTransport):
    def flow(self, x0, anchor, t):
        return super().flow(x0, anchor, t) + t


class OwnNoise(paths.Spectral):
    """Right as it is; its children aren't."""

    energy: AbstractEnergy = eqx.field(converter=energies.registry.make, default="ring")
    end_law: AbstractEndLaw = eqx.field(converter=end_laws.make, default="laplace")
    noise: Noise = eqx.field(static=True, default="own")


class DrawsTooWide(OwnNoise):
    def draw(self, anchor, *, key):
        assert anchor.variance is not None
        wide = dataclasses.replace(anchor, variance=2 * anchor.variance)
        return super().draw(wide, key=key)


class DrawsFarAway(OwnNoise):
    def draw(self, anchor, *, key):
        return super().draw(dataclasses.replace(anchor, centre=anchor.centre + 1), key=key)


class LeansOnThePriorSample(OwnNoise):
    def draw(self, anchor, *, key):
        end = super().draw(anchor, key=key)
        return dataclasses.replace(end, variance=anchor.variance)


class StartsElsewhere(OwnNoise):
    def flow(self, x0, anchor, t):
        shift = 0 if anchor.variance is not None else (1 - t) ** 2
        return super().flow(x0, anchor, t) + shift


class DrawsOfAnotherDensity(OwnNoise):
    """That of noise from the prior sample."""

    def schedule(self, t, frame):
        alpha, sigma = super().schedule(t, frame)
        if frame.variance is None:
            return alpha, sigma
        return alpha, jnp.sqrt((1 - alpha**2) * frame.variance + alpha**2)


class WrongTargetOfDraws(OwnNoise):
    def flow_and_velocity(self, x0, anchor, t):
        x, velocity = super().flow_and_velocity(x0, anchor, t)
        return x, velocity * (1 if anchor.variance is not None else 2)


@pytest.mark.parametrize(
    ("path", "laws"),
    [
        (DrawsTooWide(), ["own law", "own marginals"]),
        (DrawsFarAway(), ["own law"]),
        (LeansOnThePriorSample(), ["own end"]),
        (StartsElsewhere(), ["own start"]),
        (DrawsOfAnotherDensity(), ["own marginals", "own velocity"]),
        (WrongTargetOfDraws(), ["flow_and_velocity", "own velocity"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AbstractPath) else "",
)
def test_broken_noise_of_its_own_is_refused(path, laws, x64):
    with pytest.raises(AssertionError) as error:
        check_path(path, prior=PRIOR, points=jnp.array([[1.9, 0.3], [-0.5, 2.1]]))
    for law in laws:
        assert f"\n  {law}: " in str(error.value)


def test_noise_of_its_own_breaks_none_of_these_laws(x64):
    found = check_path(OwnNoise(), prior=PRIOR)
    assert {"own start", "own end", "own law", "own marginals", "own velocity"} < set(found)


class Even(priors.Normal):
    """Uniform on a square: no normal law."""

    def sample(self, key):
        return jax.random.uniform(key, self.event_shape, minval=1.0, maxval=5.0)

    def log_prob(self, x):
        inside = jnp.all((x >= 1) & (x <= 5))
        return jnp.where(inside, -2 * jnp.log(4.0), -jnp.inf) + 0 * x.sum()


class EndsHalfway(OwnNoise):
    def flow(self, x0, anchor, t):
        return super().flow(x0, anchor, t / 2)


def test_noise_of_its_own_is_checked_for_a_prior_that_is_not_normal(x64):
    even = Even(2)
    found = check_path(OwnNoise(), prior=even)
    assert "own law" in found
    assert "density" not in found
    with pytest.raises(AssertionError, match="own end: "):
        check_path(EndsHalfway(), prior=even)


def test_noise_of_the_prior_sample_is_refused_for_a_prior_that_is_not_normal(x64):
    path = paths.Langevin("ring", noise="prior")
    with pytest.raises(AssertionError, match=r"start: .*prior's"):
        check_path(path, prior=Even(2))


@pytest.mark.parametrize(
    ("path", "laws"),
    [
        (WrongSign(), ["velocity", "continuity"]),
        (WrongNormaliser(), ["density", "continuity"]),
        (WrongDivergence(), ["divergence"]),
        (WrongScore(), ["score", "samples"]),
        (WrongMean(), ["samples", "start"]),
        (StopsHalfway(), ["end mean"]),
        (WrongTarget(), ["flow_and_velocity"]),
        (Steep(), ["finite"]),
        (PrefersAnAxis(), ["equivariance", "density"]),
        (OptimalTransport(prior_scale=2.0), ["start"]),
        (OptimalTransport(sigma_min=0.5), ["end covariance"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AbstractPath) else "",
)
def test_broken_path_is_refused(path, laws, x64):
    with pytest.raises(AssertionError, match=rf"check_path\({type(path).__name__}\)") as error:
        check_path(path, prior=PRIOR)
    for law in laws:
        assert f"\n  {law}: " in str(error.value)


def test_correct_path_breaks_none_of_these_laws(x64):
    check_path(OptimalTransport(), prior=PRIOR)


def test_flow_that_leaves_the_centred_subspace_is_refused(x64):
    with pytest.raises(AssertionError, match="projection: "):
        check_path(Drifts(group="translation"), prior=priors.CentredNormal(3, 2))


def test_density_over_too_many_directions_is_refused(x64):
    with pytest.raises(AssertionError, match=r"start: .*prior's"):
        check_path(OptimalTransport(), prior=priors.CentredNormal(3, 2))


def test_message_says_where_and_by_how_much(x64):
    with pytest.raises(AssertionError) as error:
        check_path(WrongSign(), prior=PRIOR)
    message = str(error.value)
    assert "inputs from key [0, 0]" in message
    assert "exceeds the tolerance" in message
    assert "at point " in message
    assert "t 0." in message


class Curved(AbstractPath):
    """A path that isn't Gaussian: it swirls on the way."""

    turn: float = 1.0
    scale: float = 1.0

    def anchor(self, x1):
        return x1

    def flow(self, x0, anchor, t):
        angle = self.turn * t * (1 - t) * jnp.sum(x0**2)
        c, s = jnp.cos(angle), jnp.sin(angle)
        turned = jnp.stack([c * x0[0] - s * x0[1], s * x0[0] + c * x0[1]])
        return self.scale * (1 - t) * turned + t * anchor


def test_path_without_a_density_is_checked_too(x64):
    found = check_path(Curved(), prior=PRIOR)
    assert set(found) == {"finite", "flow_and_velocity", "projection", "equivariance", "start"}


def test_path_without_a_density_must_start_at_the_prior(x64):
    with pytest.raises(AssertionError, match="start: "):
        check_path(Curved(scale=1.2), prior=PRIOR)


def test_every_law_of_a_path_was_broken_above():
    marks = vars(test_broken_path_is_refused)["pytestmark"]
    broken = {law for mark in marks for _, laws in mark.args[1] for law in laws}
    assert broken | {"projection"} == {
        *("finite", "flow_and_velocity", "projection", "equivariance", "start", "end mean"),
        *("end covariance", "samples", "density", "velocity", "continuity", "divergence", "score"),
    }


def test_points_are_brought_to_the_free_directions(x64):
    points = jnp.ones((2, 3, 2)) + jnp.arange(6.0).reshape(3, 2)
    path = paths.OptimalTransport(group="translation")
    check_path(path, prior=priors.CentredNormal(3, 2), points=points)


class PushesAway(paths.Linearised):
    def schedule(self, t, frame):
        decay = self.time.decay(t, frame.speeds) * (1 + 4 * t * (1 - t))
        return decay, self.prior_scale * decay


def test_spectral_path_that_leaves_its_anchor_is_refused(x64):
    with pytest.raises(AssertionError) as error:
        check_path(PushesAway("double-well"), prior=priors.Normal((2,)))
    assert "\n  contraction: " in str(error.value)
    assert "\n  Lyapunov: " in str(error.value)
