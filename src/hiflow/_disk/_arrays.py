"""Arrays in a file, which appears whole or not at all."""

import os
from collections.abc import Mapping

import numpy as np

from hiflow._disk._atomic import written


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as an .npz file, atomically."""
    with written(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
