"""Blocks on the diagonal against those of the whole matrix, and the layout of their modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiflow import energies, hessians, paths, priors
from hiflow.testing import check_path

SHAPE = (2, 3)


def coupled(x):
    return jnp.sum(x**4) / 4 + jnp.sin(jnp.sum(x)) + jnp.vdot(x[0], x[1] ** 2)


ENERGY = energies.FunctionEnergy(coupled, shape=SHAPE)


@settings(max_examples=6)
@given(seed=st.integers(0, 999), block=st.sampled_from([1, 2, 3, 6]))
def test_blocks_are_those_of_the_matrix(seed, block):
    with jax.enable_x64(True):
        x = jax.random.normal(jax.random.key(seed), SHAPE)
        H = jax.hessian(lambda y: coupled(y.reshape(SHAPE)))(x.ravel())
        inside = jnp.arange(6)[:, None] // block == jnp.arange(6) // block
        found = hessians.BlockDiagonal(block).spectrum(ENERGY, x)
        matrix = jax.vmap(lambda v: found.apply(lambda k: k, v))(jnp.eye(6))
        np.testing.assert_allclose(matrix, jnp.where(inside, H, 0), atol=1e-12)
        operator = hessians.BlockDiagonal(block)(ENERGY, x)
        np.testing.assert_allclose(operator.as_matrix(), matrix, atol=1e-12)
        assert found.modes.vectors is not None
        assert found.modes.vectors.shape == (6 // block, block, block)
        assert found.modes.size == 6


def test_the_modes_are_a_basis_in_blocks(x64):
    found = hessians.BlockDiagonal(3).spectrum(ENERGY, jnp.ones(SHAPE))
    modes, Q = found.modes, found.modes.columns
    assert Q is not None
    np.testing.assert_allclose(Q.T @ Q, np.eye(6), atol=1e-12)
    f, g, y, z = jax.random.normal(jax.random.key(0), (4, 6))
    np.testing.assert_allclose(modes.components(y), Q.T @ y, atol=1e-12)
    np.testing.assert_allclose(modes.apply(f, y), Q @ (f * (Q.T @ y)), atol=1e-12)
    both = modes.combine(f, y, g, z)
    np.testing.assert_allclose(both, modes.apply(f, y) + modes.apply(g, z), atol=1e-12)
    np.testing.assert_allclose(modes.total(f), f.sum())


def test_a_path_in_blocks_obeys_its_laws(x64):
    path = paths.Langevin(ENERGY, hessian=hessians.BlockDiagonal(3))
    points = jax.random.normal(jax.random.key(0), (2, *SHAPE))
    check_path(path, prior=priors.Normal(SHAPE), points=points, times=(0.1, 0.6))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: hessians.BlockDiagonal(0), "`block` must be at least 1"),
        (
            lambda: hessians.BlockDiagonal(4).spectrum(ENERGY, jnp.ones(SHAPE)),
            "must divide the 6 coordinates of an event, got 4",
        ),
        (
            lambda: hessians.BlockDiagonal(2).spectrum(
                energies.LennardJones(4, 2), jnp.ones((4, 2))
            ),
            "not equivariant under",
        ),
    ],
)
def test_what_it_cant_do_is_refused(run, message):
    with pytest.raises(ValueError, match=message):
        run()
