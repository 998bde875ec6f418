"""Covariances that few samples can tell: what is seen, drawn towards a multiple of the identity."""

import numpy as np

# Below, single precision can't tell the directions apart.
LEAST = 1e-6


def shrunk(x: np.ndarray, shrinkage: float | None, owner: str) -> np.ndarray:
    r"""$(1 - s)\,S + s\,\tfrac{\operatorname{tr} S}{p} I$ with $S$ the mean of $xx^\top$ over the rows.

    **Arguments:**

    - `shrinkage`: $s$; `None` for Ledoit and Wolf's (J. Multivar. Anal. 88, 365, 2004), which has the
      least expected squared error.

    **Raises:** `ValueError` for a `shrinkage` outside [0, 1], or rows that are all 0.
    """
    check_shrinkage(shrinkage, owner)
    n, p = x.shape
    S = x.T @ x / n
    level = np.trace(S) / p
    if not level > 0:
        raise ValueError(f"{owner}: all points of `data` are the same, so they have no covariance.")
    target = level * np.eye(p)
    if shrinkage is None:
        # The mean over rows of |x xᵀ - S|², without the matrices.
        spread = (np.mean(np.sum(x**2, axis=1) ** 2) - np.sum(S**2)) / n
        distance = np.sum((S - target) ** 2)
        shrinkage = float(min(spread / distance, 1)) if distance > 0 else 1.0
    return (1 - shrinkage) * S + shrinkage * target


def check_shrinkage(shrinkage: float | None, owner: str) -> None:
    """Raise `ValueError` unless it is `None` or in [0, 1]."""
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise ValueError(f"{owner}: `shrinkage` must be in [0, 1], got {shrinkage}.")


def softened_inverse(hessian: np.ndarray, floor: float, owner: str) -> np.ndarray:
    r"""$Q \max(|\Lambda|, h)^{-1} Q^\top$ of a symmetric matrix, with $h$ the `floor`.

    **Raises:** `ValueError` for a `floor` that isn't positive.
    """
    if not floor > 0:
        raise ValueError(f"{owner}: `floor` must be positive, got {floor}.")
    eigenvalues, Q = np.linalg.eigh((hessian + hessian.T) / 2)
    return (Q / np.maximum(np.abs(eigenvalues), floor)) @ Q.T


def check_definite(matrix: np.ndarray, what: str) -> None:
    """Raise `ValueError` unless the matrix is finite, symmetric and positive definite, in single
    precision too."""
    if not np.isfinite(matrix).all():
        raise ValueError(f"{what} holds NaN or infinity.")
    if np.abs(matrix - matrix.T).max() > 1e-4 * np.abs(matrix).max():
        raise ValueError(f"{what} must be symmetric.")
    eigenvalues = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    if not eigenvalues[0] > LEAST * eigenvalues[-1]:
        raise ValueError(
            f"{what} must be positive definite, its smallest eigenvalue above {LEAST:g} of its largest; "
            f"got {eigenvalues[0]:.3g} and {eigenvalues[-1]:.3g}. Shrink it towards the identity."
        )
