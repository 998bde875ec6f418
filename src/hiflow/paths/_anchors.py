"""Anchors of a whole data set: all the Hessian work, once, before training."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from rich.progress import track

from hiflow.paths._base import AbstractPath, SpectralAnchor
from hiflow.priors import AbstractPrior


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


@eqx.filter_jit
def end_law_samples(
    path: AbstractPath, anchors: Any, prior: AbstractPrior, *, key: PRNGKeyArray
) -> Float[Array, "n *event"]:
    """One sample of the end law around every data point: prior samples carried to $t = 1$.

    All that a perfectly trained flow would generate, at the cost of its anchors. Hold them against the
    energy by [`check_virial`][hiflow.data.check_virial] before training: an end law that is biased
    there biases the flow.

    **Arguments:**

    - `anchors`: of all points, as [`make_anchors`][hiflow.paths.make_anchors] gives them.
    """
    n = jax.tree.leaves(anchors)[0].shape[0]
    x0 = jax.vmap(prior.sample)(jax.random.split(key, n))
    return jax.vmap(lambda x, anchor: path.flow(x, anchor, jnp.ones(())))(x0, anchors)


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
