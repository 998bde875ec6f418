"""Energies that were fitted to angles."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from groups.test_periods import PERIOD, Turns

NEAR = jnp.array([1.5, 0.2, 0.0])


def cloud(n=300):
    """About half a period, so that points are on both sides of the seam; and the same in one piece."""
    whole = NEAR + jax.random.normal(jax.random.key(0), (n, 3)) * jnp.array([0.2, 0.1, 1.0])
    turn = PERIOD * jnp.array([1, 1, 0])
    return whole - turn * jnp.round(whole / PERIOD), whole


@pytest.mark.parametrize(
    ("family", "settings"),
    [("fitted-gaussian", {"rank": 2}), ("fitted-mixture", {"components": 2, "rank": 1}),
     ("kernel-density", {"bandwidth": 0.1})],
)  # fmt: skip
def test_points_on_both_sides_of_a_seam_are_fitted_as_if_there_were_none(family, settings):
    cut, whole = cloud()
    assert cut[:, 0].max() - cut[:, 0].min() > 0.9 * PERIOD
    key = jax.random.key(1)
    found = hf.energies.Wrapped.fit(cut, family=family, group=Turns(), key=key, **settings)
    cls: Any = hf.energies.registry.get(family)
    expected = cls.fit(whole, key=key, **settings)
    x, far = whole[:5], PERIOD * jnp.array([4, -3, 0])
    values = jax.vmap(expected)(x)
    np.testing.assert_allclose(jax.vmap(found)(cut[:5]), values, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(jax.vmap(found)(x + far), values, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.held_out(cut).value, expected.held_out(whole).value, rtol=1e-3)
    np.testing.assert_allclose(found.hessian(cut[0]), expected.hessian(x[0]), rtol=1e-2, atol=1e-2)
    assert hf.testing.check_energy(found, points=cut[:4])
    blank = hf.energies.Wrapped.blank((3,), family=family, group=Turns(), **settings)
    assert blank.event_shape == (3,)


def test_the_circle_is_cut_in_its_widest_gap():
    """Not opposite to the circular mean, which lies in one of these two groups of points."""
    x = jnp.concatenate([jnp.linspace(-0.1, 0.1, 50), jnp.linspace(1.2, 1.7, 10)])
    x = jnp.stack([x, 0 * x, 0 * x], axis=1)
    found = hf.energies.Wrapped.fit(x, family="fitted-gaussian", group=Turns(), rank=1)
    np.testing.assert_allclose(found.middle[0], 0.8, atol=1e-5)  # of -0.1 … 1.7


def test_the_variance_that_is_fitted_is_that_on_the_circle():
    cut, whole = cloud()
    found = hf.energies.Wrapped.fit(cut, family="fitted-gaussian", group=Turns(), rank=2)
    expected = np.linalg.eigvalsh(np.cov(np.asarray(whole, float).T, bias=True))[::-1]
    inner: Any = found.inner
    np.testing.assert_allclose(inner.variances, expected[:2], rtol=1e-3)


def test_it_is_kept_in_a_file(tmp_path):
    cut, _ = cloud()
    found = hf.energies.Wrapped.fit(cut, family="fitted-gaussian", group=Turns(), rank=1)
    hf.energies.save(found, tmp_path / "wrapped.hiflow")
    again = hf.energies.load(tmp_path / "wrapped.hiflow", trust=("groups",))
    assert again(cut[0]) == found(cut[0])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"family": "ring"}, "must be a kind of energy that is fitted, got 'ring'"),
     ({"family": hf.energies.Wrapped}, "must be a kind of energy that is fitted"),
     ({"group": hf.groups.Trivial()}, "`group` must have periods, and Trivial has none"),
     ({"group": "trivial"}, "`group` must have periods, and Trivial has none"),
     ({"points": jnp.zeros((0, 3))}, "must have shape")],
)  # fmt: skip
def test_what_is_no_fit_around_a_circle_is_refused(wrong, words):
    given = {"points": cloud()[0], "family": "fitted-gaussian", "group": Turns()} | wrong
    with pytest.raises(ValueError, match=words):
        hf.energies.Wrapped.fit(given.pop("points"), **given)
    inner = hf.energies.FittedGaussian.blank(3, rank=1)
    with pytest.raises(ValueError, match="`middle` must be of the event's shape"):
        hf.energies.Wrapped(inner, Turns(), jnp.zeros(2))
