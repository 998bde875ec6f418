"""Draws for coming steps whose data points are read from a source, in a background thread."""

from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hiflow.data import Source
from hiflow.training._draws import Batches, Draw, draw, indices

Call = tuple[int, int]


def source_draws(batches: Batches, calls: Iterable[Call], room: int) -> Generator[Draw, None, None]:
    """What every call of the training loop draws, the rows of the next call being read while the device
    works on this one.

    Which rows follows from the key and the steps' numbers, so the draws are those from memory.
    """
    source = batches.points
    assert isinstance(source, Source)

    def reading(call: Call) -> "Future[np.ndarray]":
        # The thread does nothing but read: its rows are NumPy's.
        return pool.submit(source.__getitem__, np.asarray(indices(batches, _number(call[0]), room)))

    def drawn(call: Call, rows: np.ndarray) -> Draw:
        first, until = map(_number, call)
        if not batches.coupling.in_background:
            return draw(batches, first, until, room, jnp.asarray(rows))
        with jax.default_device(jax.devices("cpu")[0]):
            made = draw(batches, first, until, room, jnp.asarray(rows))
        return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), made)

    with ThreadPoolExecutor(1, "rows") as pool:
        call, *others = calls
        ahead = reading(call)
        for following in others:
            rows, ahead = ahead.result(), reading(following)
            yield drawn(call, rows)
            call = following
        yield drawn(call, ahead.result())


def _number(step: int) -> Array:
    return jnp.asarray(step, jnp.int32)
