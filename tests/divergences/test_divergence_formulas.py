"""The divergences against a Jacobian written out, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from hiflow import divergences, networks
from hiflow.groups import Trivial

A = np.array([[0.3, 1.2, -0.4], [0.8, -0.5, 0.1], [0.2, 0.7, 0.9]])
X, T = np.array([0.4, -1.1, 0.8]), 0.3
JACOBIAN = np.cos(A @ X)[:, None] * A + T * np.eye(3)


class Sines(networks.AbstractVelocityField):
    """v = sin(Ax) + tx."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (3,)

    @property
    def group(self) -> Trivial:
        return Trivial()

    def __call__(self, t: Float[Array, ""], x: Float[Array, " dim"]) -> Float[Array, " dim"]:
        return jnp.sin(jnp.asarray(A) @ x) + t * x


def _both(divergence, drawn):
    velocity, found = divergence(Sines(), jnp.asarray(T), jnp.asarray(X), drawn)
    np.testing.assert_allclose(velocity, np.sin(A @ X) + T * X, rtol=1e-9)
    return found


def test_exact_is_the_trace_of_the_jacobian(x64):
    assert divergences.Exact().draw(None, jnp.asarray(X)) is None
    np.testing.assert_allclose(_both(divergences.Exact(), None), np.trace(JACOBIAN), rtol=1e-9)


@pytest.mark.parametrize("probes", [1, 4])
def test_hutchinson_is_the_quadratic_form_of_every_probe(probes, x64):
    divergence = divergences.Hutchinson(probes)
    given = np.random.default_rng(0).normal(size=(probes, 3))
    expected = [e @ JACOBIAN @ e for e in given]
    np.testing.assert_allclose(_both(divergence, jnp.asarray(given)), expected, rtol=1e-9)


def test_probes_are_signs(x64):
    drawn = divergences.Hutchinson(500).draw(jax.random.key(0), jnp.asarray(X))
    assert drawn.shape == (500, 3)
    np.testing.assert_array_equal(np.abs(drawn), 1)
    moments = np.asarray(drawn).T @ np.asarray(drawn) / 500
    np.testing.assert_allclose(moments, np.eye(3), atol=0.15)
    # All eight corners at once average to the trace.
    corners = 2.0 * np.argwhere(np.ones((2, 2, 2))) - 1
    every = _both(divergences.Hutchinson(8), jnp.asarray(corners))
    np.testing.assert_allclose(every.mean(), np.trace(JACOBIAN), rtol=1e-9)


class Thin(Sines):
    """v = Bx with two large directions of nine."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (9,)

    def __call__(self, t: Float[Array, ""], x: Float[Array, " dim"]) -> Float[Array, " dim"]:
        return jnp.asarray(THIN) @ x


_LEFT, _RIGHT = np.random.default_rng(1).normal(size=(2, 9, 2))
THIN = _LEFT @ _RIGHT.T + 0.01 * np.random.default_rng(2).normal(size=(9, 9))


@pytest.mark.parametrize(
    "divergence", [divergences.HutchPlusPlus(9, repeats=500), divergences.XTrace(8, repeats=500)]
)
def test_large_directions_are_taken_exactly(divergence, x64):
    """So that the spread is that of what is left, where Hutchinson's is that of all."""
    x = jnp.asarray(np.random.default_rng(3).normal(size=9))
    drawn = divergence.draw(jax.random.key(0), x)
    velocity, found = divergence(Thin(), jnp.asarray(T), x, drawn)
    np.testing.assert_allclose(velocity, THIN @ np.asarray(x), rtol=1e-9)
    assert found.shape == (500,)
    assert found.std() < 0.2
    assert abs(found.mean() - np.trace(THIN)) < 5 * found.std() / np.sqrt(500)
    signs = divergences.Hutchinson(500)
    _, plain = signs(Thin(), jnp.asarray(T), x, signs.draw(jax.random.key(0), x))
    assert plain.std() > 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: divergences.HutchPlusPlus(products=2), "`products` must be at least 3, got 2"),
        (lambda: divergences.XTrace(repeats=0), "`repeats` must be at least 1, got 0"),
        (lambda: divergences.XTrace(8).draw(jax.random.key(0), jnp.ones(3)), "twice the dimension"),
        (lambda: divergences.HutchPlusPlus().draw(None, jnp.ones(3)), "needs `key=`"),
    ],
)
def test_wrong_numbers_of_products_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
