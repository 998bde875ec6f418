"""Anchors read from disk for coming calls, in a background thread, while the device trains."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from hiflow.training._draws import Draw
from hiflow.training._layout import Layout

Call = tuple[int, int]


@runtime_checkable
class Rows(Protocol):
    """Where the anchors of coming batches are read from, as an `AnchorStore`."""

    @property
    def row_bytes(self) -> int:
        """What the anchor of one point takes."""
        ...

    def rows(self, index: np.ndarray, into: Any = None) -> Any:
        """The anchors of an array of indices; `into`, if given, may be overwritten with them."""
        ...


_ROOM = 256 * 2**20


def steps_at_once(anchors: Rows, batch_size: int, most: int) -> int:
    """Into how few steps a call of `most` has to be cut for its anchors to fit into memory.

    One call is in flight and one being prepared, of 256 MB each, or of one step if that takes more.
    """
    fitting = max(1, _ROOM // (batch_size * anchors.row_bytes))
    pieces = -(-most // fitting)
    return -(-most // pieces)


def with_anchors(
    draws: Generator[Draw, None, None],
    calls: Iterable[Call],
    anchors: Rows,
    room: int,
    layout: Layout,
) -> Generator[Draw, None, None]:
    """The draws of every call in pieces of at most `room` steps, each with the anchors of its points.

    A piece is good until the next is asked for: the one after that takes its memory.
    """
    # Precision and device are settings of a thread, and the one that reads has to follow this one.
    double = jnp.result_type(float) == jnp.float64
    spare: deque[PyTree] = deque([None, None])

    def read(index: np.ndarray, device: Any) -> PyTree:
        if layout.mesh is not None:
            with jax.enable_x64(double):
                return layout.read_rows(anchors.rows, index)
        rows = anchors.rows(index, into=spare.popleft())
        spare.append(rows)
        with jax.enable_x64(double), jax.default_device(device):
            return jax.block_until_ready(jax.device_put(rows))

    def pieces() -> Generator[tuple[Draw, "Future[PyTree]"], None, None]:
        for call, drawn in zip(calls, draws, strict=True):
            for start in range(0, call[1] - call[0], room):
                piece = _cut(drawn, jnp.asarray(start, jnp.int32), room)
                device = next(iter(piece.index.devices()))
                yield piece, pool.submit(read, np.asarray(piece.index), device)

    with closing(draws), ThreadPoolExecutor(1, "anchors") as pool:
        coming = pieces()
        piece, reading = next(coming)
        for following in coming:
            yield _joined(piece, reading)
            piece, reading = following
        yield _joined(piece, reading)


@eqx.filter_jit
def _cut(drawn: Draw, start: jax.Array, room: int) -> Draw:
    """`room` steps from `start` on; where there are fewer, the last again."""
    return jax.tree.map(
        lambda leaf: jnp.take(leaf, start + jnp.arange(room), 0, mode="clip"), drawn
    )


def _joined(piece: Draw, reading: "Future[PyTree]") -> Draw:
    return eqx.tree_at(
        lambda draw: draw.anchors, piece, reading.result(), is_leaf=lambda leaf: leaf is None
    )
