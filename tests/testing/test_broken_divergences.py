"""The check of divergences refuses what breaks a law, and says which."""

import jax
import jax.numpy as jnp
import pytest

from hiflow import divergences
from hiflow.testing import check_divergence

pytestmark = pytest.mark.usefixtures("x64")


class Doubled(divergences.Exact):
    def __call__(self, field, t, x, drawn):
        velocity, divergence = super().__call__(field, t, x, drawn)
        return velocity, 2 * divergence


class Elsewhere(divergences.Exact):
    def __call__(self, field, t, x, drawn):
        return super().__call__(field, t, x + 1, drawn)


class Vectors(divergences.Exact):
    def __call__(self, field, t, x, drawn):
        velocity, divergence = super().__call__(field, t, x, drawn)
        return velocity, divergence * jnp.ones(2)


class NotANumber(divergences.Exact):
    def __call__(self, field, t, x, drawn):
        velocity, divergence = super().__call__(field, t, x, drawn)
        return velocity, jnp.nan * divergence


class UnequalSigns(divergences.Hutchinson):
    def draw(self, key, x):
        assert key is not None
        return jax.random.uniform(key, (self.probes, *x.shape), x.dtype, -1, 1)


CALLS = []


class DrawsAgain(divergences.Hutchinson):
    def __call__(self, field, t, x, drawn):
        CALLS.append(t)
        fresh = self.draw(jax.random.key(len(CALLS)), x)
        assert drawn is not None
        return super().__call__(field, t, x, fresh * drawn)


@pytest.mark.parametrize(
    ("law", "divergence"),
    [
        ("trace", Doubled()),
        ("trace", NotANumber()),
        ("velocity", Elsewhere()),
        ("shape", Vectors()),
        ("mean", UnequalSigns()),
        ("drawn once", DrawsAgain()),
    ],
)
def test_broken_divergence_is_refused(refuses, law, divergence):
    refuses(law, check_divergence, divergence)


@pytest.mark.parametrize("probes", [1, 3])
def test_probes_of_any_number_obey(probes):
    assert set(check_divergence(divergences.Hutchinson(probes))) == {
        "shape", "velocity", "drawn once", "mean"
    }  # fmt: skip


def test_the_check_takes_another_field():
    from hiflow.networks import EGNN

    field = EGNN(3, 2, width=4, depth=1, key=jax.random.key(1))
    assert "trace" in check_divergence(divergences.Exact(), field=field)
