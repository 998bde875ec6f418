"""What tells one tree of components and arrays from another."""

import hashlib
import re
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


def digest(tree: Any, *, across_processes: bool = False) -> str:
    """A hash of a tree's classes, settings and arrays.

    Across processes what is known by its address alone, as some functions are, counts by its name.
    """
    arrays, rest = eqx.partition(tree, _is_array)
    text = str(rest)
    if across_processes:
        text = re.sub(r" at 0x[0-9a-f]+", "", text)
    found = hashlib.sha256(text.encode())
    for leaf in jax.tree.leaves(arrays):
        found.update(np.asarray(_plain(leaf)).tobytes())
    return found.hexdigest()


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, np.ndarray)


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
