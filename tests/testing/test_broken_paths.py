"""`check_path` refuses paths that break a law, and says which."""

import jax.numpy as jnp
import pytest

from hiflow import groups, paths, priors
from hiflow.paths import AbstractPath, OptimalTransport
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
    def coefficients(self, t, frame):
        alpha, sigma = super().coefficients(t, frame)
        return 1 - t / 2 + 0 * alpha, sigma


class WrongTarget(OptimalTransport):
    def flow_and_velocity(self, x0, anchor, t):
        x_t, velocity = super().flow_and_velocity(x0, anchor, t)
        return x_t, 2 * velocity


class Steep(OptimalTransport):
    def coefficients(self, t, frame):
        return super().coefficients(jnp.sqrt(t), frame)


class PrefersAnAxis(OptimalTransport):
    def flow(self, x0, anchor, t):
        stretch = jnp.asarray([1.0, 1.0 - 0.5 * t * (1 - t)])
        return super().flow(stretch * x0, anchor, t)


class Drifts(OptimalTransport):
    def flow(self, x0, anchor, t):
        return super().flow(x0, anchor, t) + t


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
    marks = test_broken_path_is_refused.pytestmark
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
    def coefficients(self, t, frame):
        decay = self.time.decay(t, frame.rates) * (1 + 4 * t * (1 - t))
        return decay, self.prior_scale * decay


def test_spectral_path_that_leaves_its_anchor_is_refused(x64):
    with pytest.raises(AssertionError) as error:
        check_path(PushesAway("double-well"), prior=priors.Normal((2,)))
    assert "\n  contraction: " in str(error.value)
    assert "\n  Lyapunov: " in str(error.value)
