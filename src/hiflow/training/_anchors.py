"""Where a run keeps its anchors: in memory if they fit its budget, on disk if not."""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, PyTree

from hiflow.data import Source
from hiflow.paths import (
    AbstractIsotropicPath,
    AbstractPath,
    AtMinimum,
    anchor_bytes,
    budget_bytes,
    make_anchors,
    share_minima,
    store_anchors,
)
from hiflow.training._anchor_stream import Rows
from hiflow.training._settings import Training


class PointRows:
    """The anchors of a path that needs the points alone, read from their source."""

    def __init__(self, source: Source):
        self._source = source

    @property
    def row_bytes(self) -> int:
        """What a point takes."""
        return int(np.prod(self._source.event_shape)) * self._source.dtype.itemsize

    def rows(self, index: np.ndarray, into: object = None) -> np.ndarray:
        """The points of an array of indices, in memory of their own."""
        return self._source[index]


class Kept(NamedTuple):
    """A path with its anchors: all in memory, or the rows that coming batches read."""

    path: AbstractPath
    anchors: PyTree
    rows: Rows | None


def kept_anchors(
    path: AbstractPath,
    points: Array | Source,
    settings: Training,
    *,
    progress: bool,
    share: bool = True,
) -> Kept:
    """The path that training needs, and its anchors in memory or what coming batches' are read from.

    Of a path whose points share minima each minimum's is held once, unless `anchor_dir` asks for files
    that other runs can use, or they aren't to `share`: how many minima there are, the points say.

    **Raises:** `OSError` if they are to be on disk, and it has too little room.
    """
    dtype = settings.anchor_dtype
    if isinstance(points, Source) and isinstance(path, AbstractIsotropicPath):
        return Kept(path, None, PointRows(points))
    if settings.anchor_dir is None:
        if (
            share
            and isinstance(path, AtMinimum)
            and (shared := share_minima(path, points, progress=progress))
        ):
            return Kept(shared.path, shared.anchors, None)
        needed, allowed = anchor_bytes(path, points, dtype), budget_bytes(settings.anchor_budget)
        if needed <= allowed:
            return Kept(path, make_anchors(path, points, dtype=dtype, progress=progress), None)
        _say(path, points, needed, allowed)
    stored = store_anchors(path, points, settings.anchor_dir, dtype=dtype, progress=progress)
    return Kept(path, None, stored)


def _say(path: AbstractPath, points: Array | Source, needed: int, allowed: int) -> None:
    each = needed // points.shape[0]
    warnings.warn(
        f"fit: the anchors of {type(path).__name__} take {each:,} bytes for each of {points.shape[0]:,} "
        f"points, {needed / 1e9:,.3g} GB in all, above the `anchor_budget` of {allowed / 1e9:,.3g} GB. "
        "They are kept in a temporary folder on disk for this run. Say `anchor_dir` to keep them for "
        "others, a larger `anchor_budget` to hold them in memory, or make them smaller: "
        "anchor_dtype='float16', a Hessian of low rank.",
        stacklevel=2,
    )
