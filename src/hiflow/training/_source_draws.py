"""Draws for coming steps whose data points are read from a source, in a background thread."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from hiflow.data import Source
from hiflow.training._step import Batches, Draw, draw, indices

Call = tuple[int, int]


def source_draws(batches: Batches, calls: Iterable[Call], room: int) -> Generator[Draw, None, None]:
    """What every call of the training loop draws, the rows of the next call being read, and paired if
    the coupling does that in the background, while the device works on this one.

    Which rows follows from the key and the steps' numbers, so the draws are those from memory.
    """
    source = batches.points
    assert isinstance(source, Source)
    # Precision is a setting of a thread, and the one that reads has to follow this one.
    double = jnp.result_type(float) == jnp.float64
    on_host = batches.coupling.in_background
    device = jax.devices("cpu")[0] if on_host else jax.config.values.get("jax_default_device")

    def drawn(call: Call) -> Draw:
        with jax.enable_x64(double), jax.default_device(device):
            first, until = (jnp.asarray(step, jnp.int32) for step in call)
            rows = source[np.asarray(indices(batches, first, room))]
            made = draw(batches, first, until, room, jnp.asarray(rows))
            return jax.block_until_ready(made)

    def handed_over(made: Draw) -> Draw:
        if not on_host:
            return made
        return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), made)

    with ThreadPoolExecutor(1, "rows") as pool:
        first, *others = calls
        ahead = pool.submit(drawn, first)
        for call in others:
            made = ahead.result()
            ahead = pool.submit(drawn, call)
            yield handed_over(made)
        yield handed_over(ahead.result())
