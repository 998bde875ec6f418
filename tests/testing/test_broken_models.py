"""The checks of groups, priors, networks and couplings refuse what breaks a law, and say which."""

import jax
import jax.numpy as jnp
import pytest

from hiflow import couplings, groups, networks, priors, time_samplers
from hiflow.testing import (
    check_coupling,
    check_group,
    check_prior,
    check_time_sampler,
    check_velocity_field,
)

pytestmark = pytest.mark.usefixtures("x64")


class NotUndone(groups.Rotation):
    def inverse(self, g):
        return g


class Backwards(groups.Permutation):
    def compose(self, g, h):
        return g[h]


class Growing(groups.Translation):
    def act(self, g, x):
        return x * (1 + 0.1 * g[0] ** 2)


class HalfWay(groups.Translation):
    def project(self, x):
        return x - 0.5 * x.mean(0, keepdims=True)


class FirstAtOrigin(groups.Translation):
    def project(self, x):
        return x - x[:1]


class Clipped(groups.Permutation):
    def project(self, x):
        return jnp.clip(x, -1, 1)


class FirstFrozen(groups.Permutation):
    def project(self, x):
        return x.at[0].set(0)


class StandsStill(groups.Translation):
    def tangents(self, x):
        return jnp.zeros((x.size, 0), x.dtype)


class TurnsAlongAxes(groups.Rotation):
    def tangents(self, x):
        return jnp.eye(x.size, dtype=x.dtype)[:, :1]


class Repels(groups.Translation):
    def align(self, x, y):
        return x.mean(0) - y.mean(0)


class Unnormalised(groups.Translation):
    def null_modes(self, x):
        return 2 * super().null_modes(x)


@pytest.mark.parametrize(
    ("law", "group"),
    [
        ("inverse", NotUndone(2)),
        ("compose", Backwards()),
        ("distances", Growing()),
        ("idempotent", HalfWay()),
        ("orthogonal", FirstAtOrigin()),
        ("linear", Clipped()),
        ("commutes", FirstFrozen()),
        ("null modes", Unnormalised()),
        ("tangents", StandsStill()),
        ("tangents", TurnsAlongAxes(2)),
        ("align", Repels()),
    ],
)
def test_broken_group_is_refused(refuses, law, group):
    refuses(law, check_group, group, (5, 2))


class ForgetsTheFreeDirections(priors.CentredNormal):
    def log_prob(self, x):
        return super().log_prob(x) - self.dim * jnp.log(2 * jnp.pi) / 2


class OffCentre(priors.CentredNormal):
    def sample(self, key):
        return self.scale * jax.random.normal(key, self.event_shape)


class TooWide(priors.Normal):
    def sample(self, key):
        return 1.2 * super().sample(key)


class Oblong(priors.Normal):
    def log_prob(self, x):
        return super().log_prob(x * jnp.asarray([1.0, 2.0])) + jnp.log(2.0)


class Transposed(priors.CentredNormal):
    def sample(self, key):
        return super().sample(key).T


class Undefined(priors.Normal):
    def log_prob(self, x):
        return jnp.log(x[0])


def _off_centre(key):
    return jax.random.normal(key, (3, 2)) + 1


def _one_sided(key):
    return jnp.abs(jax.random.normal(key, (2,)))


@pytest.mark.parametrize(
    ("law", "make"),
    [
        ("normalised", lambda: ForgetsTheFreeDirections(4, 2)),
        ("projection", lambda: OffCentre(4, 2)),
        ("samples", lambda: TooWide((2,))),
        ("invariance", lambda: Oblong((2,), group=groups.Rotation(2))),
        ("finite", lambda: Undefined((2,))),
        ("shape", lambda: Transposed(4, 2)),
        ("finite draws", lambda: priors.FunctionPrior(lambda key: jnp.full(2, jnp.nan), 2)),
        ("projection", lambda: priors.FunctionPrior(_off_centre, (3, 2), group="translation")),
        ("moments", lambda: priors.FunctionPrior(_one_sided, 2, group=groups.Rotation(2))),
    ],
)
def test_broken_prior_is_refused(refuses, law, make):
    refuses(law, check_prior, make())


class Uncentred(networks.MLP):
    def __call__(self, t, x, condition=None):
        return super().__call__(t, x) + 1.0


class Exploding(networks.MLP):
    def __call__(self, t, x, condition=None):
        return super().__call__(t, x) / (1 - t)


class SaysPermutations(networks.MLP):
    """No layer of it treats the particles alike."""

    @property
    def group(self):
        return groups.Permutation()


class Flattens(networks.MLP):
    def __call__(self, t, x, condition=None):
        return super().__call__(t, x).ravel()


class SaysVelocityAndDivergence(networks.MLP):
    def velocity_and_divergence(self, t, x, condition=None):
        return 2 * self(t, x), jnp.sum(x) * 0


@pytest.mark.parametrize(
    ("law", "make", "shape", "projects_on"),
    [
        ("projection", Uncentred, (3, 2), "translation"),
        ("equivariance", SaysPermutations, (3, 2), None),
        ("finite", Exploding, (2,), None),
        ("divergence", SaysVelocityAndDivergence, (2,), None),
        ("velocity", SaysVelocityAndDivergence, (2,), None),
        ("shape", Flattens, (3, 2), None),
    ],
)
def test_broken_velocity_field_is_refused(refuses, law, make, shape, projects_on):
    field = make(shape, width=4, depth=1, projects_on=projects_on, key=jax.random.key(0))
    refuses(law, check_velocity_field, field)


class MovesTheData(couplings.Independent):
    def __call__(self, x0, x1, key):
        return x0[::-1], x1[::-1]


class Shrinks(couplings.Independent):
    def __call__(self, x0, x1, key):
        return 0.5 * (x0 + x1), x1


class Decentres(couplings.Independent):
    def __call__(self, x0, x1, key):
        return x0 + 1.0, x1


class Truncates(couplings.Independent):
    def __call__(self, x0, x1, key):
        return x0[:-1], x1[:-1]


class PicksTheFirst(couplings.Independent):
    def __call__(self, x0, x1, key):
        return jnp.broadcast_to(x0[:1], x0.shape), x1


class DrawsWithHeavyTails(couplings.Independent):
    redraws = True

    def __call__(self, x0, x1, key):
        x = jax.random.cauchy(key, x0.shape)
        return x - x.mean(1, keepdims=True), x1


CALLS = []


class Fickle(couplings.Independent):
    def __call__(self, x0, x1, key):
        CALLS.append(key)
        return jnp.roll(x0, len(CALLS), axis=0), x1


@pytest.mark.parametrize(
    ("law", "coupling"),
    [
        ("data", MovesTheData()),
        ("prior", Shrinks()),
        ("projection", Decentres()),
        ("shape", Truncates()),
        ("key", Fickle()),
        ("even use", PicksTheFirst()),
        ("redrawn", DrawsWithHeavyTails()),
    ],
)
def test_broken_coupling_is_refused(refuses, law, coupling):
    refuses(law, check_coupling, coupling, prior=priors.CentredNormal(3, 2))


class LeavesTheInterval(time_samplers.Uniform):
    def __call__(self, key, n):
        return 1.1 * jax.random.uniform(key, (n,)), jnp.ones(n)


class ReachesTheEnd(time_samplers.Uniform):
    def __call__(self, key, n):
        return jax.random.randint(key, (n,), 0, 1001) / 1000, jnp.ones(n)


class ForgetsItsWeights(time_samplers.Importance):
    def __call__(self, key, n):
        t, _ = super().__call__(key, n)
        return t, jnp.ones(n)


class NegativeWeights(time_samplers.Uniform):
    def __call__(self, key, n):
        return jax.random.uniform(key, (n,)), -jnp.ones(n)


class SaysAnotherObjective(time_samplers.LateTimes):
    def objective(self, t):
        return 1.2 * super().objective(t)


class TooFew(time_samplers.Uniform):
    def __call__(self, key, n):
        return jax.random.uniform(key, (n - 1,)), jnp.ones(n)


@pytest.mark.parametrize(
    ("law", "sampler"),
    [
        ("interval", LeavesTheInterval()),
        ("interval", ReachesTheEnd()),
        ("integral", ForgetsItsWeights()),
        ("objective", SaysAnotherObjective()),
        ("weights", NegativeWeights()),
        ("shape", TooFew()),
    ],
)
def test_broken_time_sampler_is_refused(refuses, law, sampler):
    refuses(law, check_time_sampler, sampler)
