"""Networks with noise in their weights: fresh ones often give 0, for which every law holds."""

from typing import TypeVar

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

T = TypeVar("T")


def perturbed(network: T, key: PRNGKeyArray, size: float) -> T:
    """The network with normal noise of this size added to every floating-point leaf."""
    leaves, structure = jax.tree.flatten(network)
    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(
        structure,
        [
            leaf + size * jax.random.normal(k, leaf.shape, leaf.dtype)
            if eqx.is_inexact_array(leaf)
            else leaf
            for leaf, k in zip(leaves, keys, strict=True)
        ],
    )
