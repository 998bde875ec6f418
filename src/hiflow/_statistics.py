"""The error of a mean."""

import numpy as np
from jaxtyping import Array, Float


def standard_error(values: Float[Array | np.ndarray, " n"]) -> float:
    """The standard error of the mean of independent values; infinite for a single one."""
    n = values.shape[0]
    return float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("inf")
