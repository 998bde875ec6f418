"""Every time transform against its formula, written in NumPy, in double precision."""

import jax.numpy as jnp
import numpy as np
import pytest

from hiflow import times

INSIDE = (0.0, 0.1, 0.5, 0.9, 0.999)


def _cut(remaining, cutoff):
    """τ of what a mode of rate 1 has left, of which `cutoff` is left at the end."""
    return -np.log(cutoff + (1 - cutoff) * remaining)


# Name: the transform, τ(t).
TRANSFORMS = {
    "log": (lambda: times.LogTime(), lambda t: -np.log(1 - t)),
    "log, cut": (lambda: times.LogTime(cutoff=0.02), lambda t: _cut(1 - t, 0.02)),
    "linear": (lambda: times.LinearTime(), lambda t: t * np.log(1e3)),
    "linear to 0.1": (lambda: times.LinearTime(cutoff=0.1), lambda t: t * np.log(10)),
    "polynomial": (lambda: times.PolynomialTime(), lambda t: -np.log(1 - t**2)),
    "polynomial, p = 3.5, cut": (
        lambda: times.PolynomialTime(power=3.5, cutoff=0.05),
        lambda t: _cut(1 - t**3.5, 0.05),
    ),
    "cosine": (lambda: times.CosineTime(), lambda t: -np.log(np.cos(np.pi * t / 2))),
    "cosine, cut": (
        lambda: times.CosineTime(cutoff=0.01),
        lambda t: _cut(np.cos(np.pi * t / 2), 0.01),
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_is_its_formula(name, x64):
    make, tau = TRANSFORMS[name]
    transform = make()
    rates = np.array([0.6, 1.0, 2.0, 7.5])
    for t in INSIDE:
        np.testing.assert_allclose(transform.tau(jnp.asarray(t)), tau(t), rtol=1e-6, atol=1e-12)
        decay = transform.decay(jnp.asarray(t), jnp.asarray(rates))
        np.testing.assert_allclose(decay, np.exp(-rates * tau(t)), rtol=1e-6)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_at_the_end_the_cutoff_is_left(name, x64):
    transform = TRANSFORMS[name][0]()
    rates = np.array([0.6, 1.0, 2.0])
    decay = transform.decay(jnp.asarray(1.0), jnp.asarray(rates))
    np.testing.assert_allclose(decay, float(transform.cutoff) ** rates, rtol=1e-6)
