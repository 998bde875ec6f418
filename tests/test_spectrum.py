"""Laws of a spectrum: its layouts are one matrix written in several ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiflow import spectrum
from hiflow.spectrum import Modes

seeds = st.integers(0, 2**31 - 1)


def symmetric(seed, dim):
    matrix = jax.random.normal(jax.random.key(seed), (dim, dim))
    return matrix + matrix.T


@given(seed=seeds, dim=st.integers(2, 6))
def test_a_function_of_a_matrix_is_applied_to_its_eigenvalues(seed, dim):
    with jax.enable_x64(True):
        matrix = symmetric(seed, dim)
        y = jax.random.normal(jax.random.key(seed + 1), (dim,))
        whole = spectrum.dense(*jnp.linalg.eigh(matrix))
        np.testing.assert_allclose(whole.apply(lambda x: x, y), matrix @ y, atol=1e-10)
        expected = jax.scipy.linalg.expm(matrix) @ y
        np.testing.assert_allclose(whole.apply(jnp.exp, y), expected, rtol=1e-8, atol=1e-8)


@given(seed=seeds, k=st.integers(1, 5))
def test_low_rank_is_dense_with_equal_eigenvalues_for_the_rest(seed, k):
    with jax.enable_x64(True):
        dim = 6
        _, vectors = jnp.linalg.eigh(symmetric(seed, dim))
        top = jax.random.normal(jax.random.key(seed), (k,))
        rest = jnp.asarray(0.7)
        low = spectrum.low_rank(top, vectors[:, :k], rest, size=dim)
        full = spectrum.dense(jnp.append(top, jnp.full(dim - k, rest)), vectors)
        y, z = jax.random.normal(jax.random.key(seed + 1), (2, dim))

        def f(x):  # looks at all eigenvalues, as a normalisation by the trace does
            return jnp.exp(x) / jnp.mean(jnp.exp(x))

        np.testing.assert_allclose(low.apply(f, y), full.apply(f, y), atol=1e-12)
        g, h = low.map(f), low.map(jnp.cos)
        both = low.modes.combine(g, y, h, z)
        np.testing.assert_allclose(both, low.apply(f, y) + low.apply(jnp.cos, z), atol=1e-12)
        np.testing.assert_allclose(low.modes.total(g), dim, rtol=1e-12)
        np.testing.assert_allclose(low.modes.total(h), full.modes.total(full.map(jnp.cos)))


@pytest.mark.parametrize("layout", ["dense", "low-rank", "blocks", "diagonal", "isotropic"])
def test_combine_is_two_applications_and_total_is_the_trace(x64, layout):
    dim = 5
    _, vectors = jnp.linalg.eigh(symmetric(0, dim))
    modes, count = {
        "dense": (Modes(vectors, size=dim), dim),
        "low-rank": (Modes(vectors[:, :2], has_rest=True, size=dim), 3),
        "blocks": (Modes(vectors[None], size=dim), dim),
        "diagonal": (Modes(size=dim), dim),
        "isotropic": (Modes(size=dim), 1),
    }[layout]
    f, g = jax.random.uniform(jax.random.key(1), (2, count))
    y, z = jax.random.normal(jax.random.key(2), (2, dim))
    np.testing.assert_allclose(
        modes.combine(f, y, g, z), modes.apply(f, y) + modes.apply(g, z), atol=1e-12
    )
    matrix = jax.vmap(lambda e: modes.apply(f, e))(jnp.eye(dim))
    np.testing.assert_allclose(modes.total(f), jnp.trace(matrix), rtol=1e-12)


def test_a_basis_of_a_subspace_projects():
    vectors = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (6, 4)))[0]
    modes = Modes(vectors, size=4)
    y = jax.random.normal(jax.random.key(1), (6,))
    once = modes.apply(jnp.ones(4), y)
    np.testing.assert_allclose(modes.apply(jnp.ones(4), once), once, atol=1e-6)
    assert float(jnp.linalg.norm(once - y)) > 0.1
