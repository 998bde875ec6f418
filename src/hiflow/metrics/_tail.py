"""The tail of importance weights: whether their variance means anything."""

import numpy as np
from jaxtyping import Float

# Of fewer the fit has no tail to look at.
_FEWEST = 25
# Logarithms that differ by less are the same but for rounding.
_SAME = 1e-4


def pareto_k(log_weights: Float[np.ndarray, " n"]) -> float:
    r"""$\hat k$ of the largest weights; $-\infty$ if these are all the same, $\infty$ for too few."""
    # Imported late: it takes longer than all else that a flow needs to start.
    from arviz_stats.base import array_stats

    finite = np.asarray(log_weights, np.float64)[np.isfinite(log_weights)]
    if len(finite) < _FEWEST:
        return float("inf")
    tail = np.sort(finite)[-int(np.ceil(min(0.2 * len(finite), 3 * np.sqrt(len(finite))))) :]
    if np.ptp(tail) < _SAME:
        return float("-inf")
    # It takes log-likelihoods of points left out, whose weights are the reciprocals. Where many of the
    # largest are one and the same, the fit has no solution.
    with np.errstate(divide="ignore", invalid="ignore"):
        _, k = array_stats.psislw(-finite)
    return float(k) if np.isfinite(k) else float("inf")


def trusted_up_to(n: int) -> float:
    r"""Up to which $\hat k$ so many weights can be trusted (Vehtari et al., JMLR 25, 72, 2024)."""
    return float(min(0.7, 1 - 1 / np.log10(max(n, 10))))
