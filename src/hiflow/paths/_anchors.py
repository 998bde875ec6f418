"""Anchors of a whole data set: all the Hessian work, once, before training."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from rich.progress import track

from hiflow.paths._base import AbstractPath, SpectralAnchor


def make_anchors(
    path: AbstractPath,
    points: Float[Array, "n *event"],
    *,
    chunk_size: int = 512,
    progress: bool = False,
) -> Any:
    """`path.anchor` of every point, vmapped in chunks; every leaf gets a leading axis of length `n`.

    **Raises:** `ValueError` if an anchor isn't finite or a rate isn't positive, with the index of the
    first such point.
    """
    anchor = eqx.filter_jit(eqx.filter_vmap(path.anchor))
    starts = range(0, points.shape[0], chunk_size)
    chunks = [
        anchor(points[start : start + chunk_size])
        for start in track(starts, "anchors", disable=not progress, transient=True)
    ]
    anchors = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *chunks)
    _check(path, anchors)
    return anchors


def _check(path: AbstractPath, anchors: Any) -> None:
    for name, leaf in jax.tree_util.tree_leaves_with_path(anchors):
        _refuse(path, jnp.isfinite(leaf), f"anchor{jax.tree_util.keystr(name)} is not finite")
    if isinstance(anchors, SpectralAnchor):
        _refuse(path, anchors.rates > 0, "a rate is not positive")


def _refuse(path: AbstractPath, good: Array, complaint: str) -> None:
    bad = ~good.reshape(good.shape[0], -1).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{type(path).__name__}: {complaint} at {int(bad.sum())} of {bad.size} data points, first "
            f"at index {int(jnp.argmax(bad))}. Look at the energy there, and at the spectral maps' "
            "domains (Shifted takes no eigenvalue below `least`)."
        )
