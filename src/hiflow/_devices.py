"""Spreading a batch over all devices, where there are several."""

from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

T = TypeVar("T")


def shard_batch(batch: T) -> T:
    """Split the leading axis of every leaf over the devices, inside `jit`.

    Does nothing with one device, or if the batch doesn't divide evenly.
    """
    devices = jax.devices()
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(batch)}
    if len(devices) == 1 or any(size % len(devices) for size in sizes):
        return batch
    sharding = NamedSharding(Mesh(np.array(devices), ("batch",)), PartitionSpec("batch"))
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, sharding), batch)
