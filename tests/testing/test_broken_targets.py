"""Every law of a target refuses a target that breaks it."""

import jax
import jax.numpy as jnp
import pytest

from hiflow import couplings, energies, paths, targets
from hiflow.testing import check_target


class NotFinite(targets.Plain):
    def __call__(self, path, pair):
        x, u = path.flow_and_velocity(pair.x0, pair.anchor, pair.t)
        return x, u / pair.t


class AnotherPlace(targets.Plain):
    def __call__(self, path, pair):
        x, u = path.flow_and_velocity(pair.x0, pair.anchor, pair.t)
        return x + 0.01 * u, u


class WithoutItsNoise(targets.ForceControlled):
    """The force alone, whose mean at a point isn't 0."""

    def __call__(self, path, pair):
        x, u = path.flow_and_velocity(pair.x0, pair.anchor, pair.t)
        return x, u - 0.2 * pair.anchor.gradient

    def prepare(self, parts, path, anchors):
        return WithoutItsNoise(self.mean_hessian)

    def removed(self, path, t):
        return jnp.zeros(())


class Bent(paths.OptimalTransport):
    """A path whose velocity isn't its flow's: what follows it has another minimiser."""

    def flow_and_velocity(self, x0, anchor, t):
        x, u = super().flow_and_velocity(x0, anchor, t)
        return x, 1.2 * u


@pytest.mark.parametrize(
    ("law", "target", "path"),
    [
        ("finite", NotFinite(), None),
        ("point", AnotherPlace(), None),
        ("unbiased", WithoutItsNoise(), None),
        ("minimiser", WithoutItsNoise(), None),
        ("minimiser", targets.Plain(), Bent()),
        ("predicted", targets.ForceControlled(0.3), None),
    ],
)
def test_broken_target_is_refused(refuses, law, target, path):
    refuses(law, check_target, target, path=path)


def test_pairs_that_lean_towards_the_data_bias_a_control(refuses):
    """What `fit` refuses: aligned pairs, without jitter, under a target that was told they aren't."""

    class Told(targets.ForceControlled):
        def check(self, parts):
            pass

        def prepare(self, parts, path, anchors):
            found = super().prepare(parts, path, anchors).found
            return Told(self.mean_hessian, found)

    coupling = couplings.MinibatchOT()
    refuses("unbiased", check_target, Told(), coupling=coupling, points=400)


@pytest.mark.parametrize(
    "parts",
    [
        {"path": paths.VariancePreserving()},
        {"path": paths.Bridge(width=0.3)},
        {
            "path": paths.Bridge(width=0.3),
            "coupling": couplings.Jittered("minibatch-ot", width=0.3),
            "points": 400,
        },
        {"energy": energies.Gaussian(jnp.zeros((3, 2)), jnp.arange(1.0, 7.0))},
    ],
    ids=["variance-preserving", "bridge", "bridge and jittered pairs", "a matrix over coordinates"],
)
def test_a_control_obeys_the_laws_wherever_it_is_right(parts):
    check_target(targets.ForceControlled(), **parts)


def test_an_average_obeys_the_laws_on_an_end_law():
    path = paths.Langevin(energies.GaussianMixture.example())
    check_target(targets.PosteriorAveraged(among=16), path=path, points=500)


def test_an_energy_without_samples_is_refused():
    with pytest.raises(ValueError, match="sample"):
        check_target(targets.Plain(), energy=energies.Ring(), key=jax.random.key(0))
