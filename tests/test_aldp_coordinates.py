"""The internal coordinates of experiments/aldp: there and back, and the volume that goes with them."""

import importlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

FULL = Path(__file__).parents[1] / "experiments/aldp/full"


@pytest.fixture(scope="module")
def made():
    """The module, and coordinates near a geometry without overlaps."""
    sys.path.insert(0, str(FULL))
    module = importlib.import_module("internal")
    sys.path.remove(str(FULL))
    x = np.random.default_rng(0).normal(size=(module.ATOMS, 3))
    internal = module.Internal(x)
    z = np.concatenate([np.full(21, 1.4), np.full(20, 1.9), np.linspace(-0.5, 0.5, 19)])
    return module, internal, jnp.asarray(z, jnp.float32)


def test_positions_have_the_coordinates_that_they_are_made_of(made):
    _, internal, z = made
    np.testing.assert_allclose(internal.of(internal.positions(z)), z, atol=1e-4)


def test_volume_is_that_of_the_full_jacobian(made):
    """With a rotation and a shift: |det| = prod r² sin θ, whose rotations fill 8π²."""
    module, internal, z = made
    x = internal.positions(z)
    inner = np.asarray(jax.jit(jax.jacfwd(internal.positions))(z), np.float64).reshape(66, 60)
    turns = np.stack([np.cross(axis, np.asarray(x)).ravel() for axis in np.eye(3)], axis=1)
    shifts = np.tile(np.eye(3), (module.ATOMS, 1))
    _, log_volume = np.linalg.slogdet(np.concatenate([inner, turns, shifts], axis=1))
    r, theta = np.asarray(z[:21], np.float64), np.asarray(z[21:41], np.float64)
    expected = 2 * np.log(r).sum() + np.log(np.sin(theta)).sum()
    np.testing.assert_allclose(log_volume, expected, atol=1e-3)
    # The energy of scaled coordinates has it, and what makes it one of the centred subspace.
    scaled = module.Scaled(lambda x: jnp.zeros(()), internal, z, jnp.full(60, 2.0), jnp.ones(()))
    inside = module.Scaled(lambda x: jnp.zeros(()), internal, z, jnp.full(60, 2.0), -jnp.ones(()))
    found = [float(each(jnp.zeros(60))) for each in (scaled, inside)]
    assert found[0] == np.inf  # φ is below 0 here.
    more = 60 * np.log(2) + np.log(8 * np.pi**2) - 1.5 * np.log(22)
    np.testing.assert_allclose(found[1], -expected - more, rtol=1e-4)
