"""Which of a user's points a function on the host failed for."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from hiflow.energies._host_calls import HostError, last_failure

# Of the coordinates' size: further from a point than any step of finite differences.
_NEAR = 0.05


@contextmanager
def naming_points(points: object, first: int = 0) -> Iterator[None]:
    """Inside, a failure of the host says at which of these points, in the caller's order, it was.

    **Arguments:**

    - `first`: the index of the first of the points.

    **Raises:** `HostError` instead of JAX's error, with the function's message and the point's index.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:  # The latter where JAX waits for results.
        failed = last_failure()
        if failed is None or failed[1] not in str(error):
            raise
        index = _nearest(np.asarray(points, np.float64), failed[0])
        if index is None:
            raise
        raise HostError(f"{failed[1]} It was point {first + index} of the data.") from error


def _nearest(points: np.ndarray, failed: np.ndarray) -> int | None:
    """The one from which the first of the failed ones was made."""
    if points.shape[1:] != failed.shape[1:]:
        return None
    offset = np.abs(points - failed[0]).reshape(len(points), -1).max(axis=1)
    index = int(np.argmin(offset))
    return index if offset[index] <= _NEAR * np.sqrt(np.mean(points**2)) else None
