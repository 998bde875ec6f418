r"""Gaussians of covariance $V\,\mathrm{diag}(s)\,V^\top + \sigma^2(I - VV^\top)$ about 0: probabilistic
PCA (Tipping and Bishop, 1999).

`vectors` $V$ are orthonormal columns, `variances` $s$ the whole variance along each, `noise`
$\sigma^2$ that along all other directions; it counts for nothing if there are none.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._checks import _concrete

Vector = Float[Array, " dim"]
Vectors = Float[Array, "dim k"]
Variances = Float[Array, " k"]
Scalar = Float[Array, ""]


def energy(z: Vector, vectors: Vectors, variances: Variances, noise: Scalar) -> Scalar:
    r"""Half the Mahalanobis distance, $\tfrac12 z^\top \Sigma^{-1} z$."""
    c = jnp.matmul(vectors.T, z, precision="highest")
    inside = jnp.sum(c**2 / variances)
    if vectors.shape[0] == vectors.shape[1]:
        return inside / 2
    # What is left of z is squared, not |z|² - |c|², which loses all digits where σ² is small.
    outside = z - jnp.matmul(vectors, c, precision="highest")
    return (inside + jnp.sum(outside**2) / noise) / 2


def gradient(z: Vector, vectors: Vectors, variances: Variances, noise: Scalar) -> Vector:
    r"""$\Sigma^{-1} z$."""
    c = jnp.matmul(vectors.T, z, precision="highest")
    inside = jnp.matmul(vectors, c / variances, precision="highest")
    if vectors.shape[0] == vectors.shape[1]:
        return inside
    return inside + (z - jnp.matmul(vectors, c, precision="highest")) / noise


def log_normaliser(vectors: Vectors, variances: Variances, noise: Scalar) -> Scalar:
    r"""$\tfrac12 \log\det 2\pi\Sigma$."""
    dim, k = vectors.shape
    return (
        jnp.sum(jnp.log(variances)) + (dim - k) * jnp.log(noise) + dim * jnp.log(2 * jnp.pi)
    ) / 2


def log_joint(
    z: Vector, log_weight: Scalar, vectors: Vectors, variances: Variances, noise: Scalar
) -> Scalar:
    """Log density of one component of a mixture, with its weight."""
    parts = (vectors, variances, noise)
    return log_weight - energy(z, *parts) - log_normaliser(*parts)


def precision_values(variances: Variances, noise: Scalar) -> Variances:
    r"""$1/s - 1/\sigma^2$: what $\Sigma^{-1}$ adds to $I/\sigma^2$ along each vector."""
    return 1 / variances - 1 / noise


def precision(vectors: Vectors, variances: Variances, noise: Scalar) -> Float[Array, "dim dim"]:
    r"""$\Sigma^{-1}$ as a matrix."""
    added = vectors * precision_values(variances, noise)
    eye = jnp.eye(vectors.shape[0], dtype=vectors.dtype)
    return eye / noise + jnp.matmul(added, vectors.T, precision="highest")


def sample(key: PRNGKeyArray, vectors: Vectors, variances: Variances, noise: Scalar) -> Vector:
    """One exact sample."""
    e = jax.random.normal(key, vectors.shape[:1], vectors.dtype)
    c = jnp.matmul(vectors.T, e, precision="highest")
    added = (jnp.sqrt(variances) - jnp.sqrt(noise)) * c
    return jnp.sqrt(noise) * e + jnp.matmul(vectors, added, precision="highest")


def from_eigenpairs(
    eigenvalues: np.ndarray, vectors: np.ndarray, total: float, rank: int, floor: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Vectors, variances and noise of largest likelihood, no variance below `floor`.

    The eigenpairs of the sample covariance may come in any order; `total` is its trace.
    """
    order = np.argsort(-eigenvalues)[:rank]
    kept = eigenvalues[order]
    others = vectors.shape[0] - rank
    noise = (total - kept.sum()) / others if others else kept[-1]
    return vectors[:, order], np.maximum(kept, floor), float(max(noise, floor))


def check_orthonormal(vectors: Float[Array, "... dim k"], *, owner: str) -> None:
    """Raise `ValueError` unless the columns are orthonormal. Traced values pass."""
    values = _concrete(vectors)
    if values is None:
        return
    gram = np.swapaxes(values, -1, -2) @ values
    error = np.abs(gram - np.eye(values.shape[-1])).max(initial=0)
    if not error < 1e-3:
        raise ValueError(
            f"{owner}: `vectors` must have orthonormal columns, got scalar products off by {error:.2g}. "
            "Take the Q of their QR decomposition."
        )
