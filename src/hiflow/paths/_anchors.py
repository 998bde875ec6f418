"""Anchors of a whole data set: all the Hessian work, once, before training."""

from collections.abc import Iterator
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow._notebook import without_widgets
from hiflow._programs import compiled
from hiflow.data import Source
from hiflow.energies._host_naming import naming_points
from hiflow.paths._base import AbstractPath, SpectralAnchor
from hiflow.paths._noise import choose_noise, draw_anchors
from hiflow.priors import AbstractPrior

ANCHOR_DTYPES = ("float32", "float16")
# Of a chunk's anchors, in bytes; making them may take a few times as much.
_ROOM = 256 * 2**20


def make_anchors(
    path: AbstractPath,
    points: Float[Array, "n *event"] | Source,
    *,
    dtype: str = "float32",
    chunk_size: int | None = None,
    progress: bool = False,
) -> PyTree:
    """`path.anchor` of every point, vmapped in chunks; every leaf gets a leading axis of length `n`.

    The memory is taken once, and filled chunk by chunk: all anchors and those of a chunk are the most
    that is ever held ([`anchor_bytes`][hiflow.paths.anchor_bytes] says how much before).

    **Arguments:**

    - `points`: an array, or a [`Source`][hiflow.data.Source] that is read chunk by chunk.
    - `chunk_size`: how many points are worked on at a time; by default 512, or fewer if their anchors
      take more than 256 MB.
    - `dtype`: `"float32"` keeps anchors as they are computed (in double precision if that is on);
      `"float16"` halves what takes the memory: the leaves with more numbers per point than the point
      itself, which are the eigenvectors. Points, speeds and variances stay as they are. The rounding,
      5e-4 of an entry, moves a path of a basis without a rest by some 5e-3 at $t = 0$.

    **Raises:** `ValueError` if an anchor isn't finite, doesn't fit into `dtype`, or a rate isn't
    positive, with the index of the first such point.

    **Example:**

    ```pycon
    >>> path = hf.paths.Langevin(ring)
    >>> anchors = hf.paths.make_anchors(path, points)  # what `fit` does first
    >>> anchors.modes.vectors.shape
    (200, 2, 2)
    ```
    """
    check_anchor_dtype(dtype, "make_anchors: `dtype`")
    whole = None
    for start, chunk in anchor_chunks(
        path, points, dtype=dtype, chunk_size=chunk_size, progress=progress
    ):
        if jax.tree.leaves(chunk)[0].shape[0] == points.shape[0]:
            return chunk
        if whole is None:
            whole = _room(chunk, points.shape[0])
        whole = _filled(whole, (chunk, jnp.asarray(start, jnp.int32)))
    return whole


def anchor_bytes(
    path: AbstractPath, points: Float[Array, "n *event"] | Source, dtype: str = "float32"
) -> int:
    """The memory that the anchors of all points will take, without making any.

    **Example:**

    ```pycon
    >>> argon = hf.energies.LennardJones.preset("lj13")
    >>> many = jnp.zeros((1000, 13, 3))
    >>> hf.paths.anchor_bytes(hf.paths.Langevin(argon), many)
    6204000
    >>> hf.paths.anchor_bytes(hf.paths.OptimalTransport(), many)
    156000
    ```
    """
    shape = jax.ShapeDtypeStruct(points.shape, points.dtype)
    anchors = eqx.filter_eval_shape(batch_of_anchors, path, shape, dtype)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(anchors))


def end_law_samples(
    path: AbstractPath, anchors: PyTree, prior: AbstractPrior, *, key: PRNGKeyArray
) -> Float[Array, "n *event"]:
    """One sample of the end law around every data point: independent prior samples carried to $t = 1$,
    by the path with the noise that `fit` would choose.

    All that a perfectly trained flow would generate, at the cost of its anchors. Hold them against the
    energy by [`check_virial`][hiflow.data.check_virial] before training: an end law that is biased
    there biases the flow.

    **Arguments:**

    - `anchors`: of all points, as [`make_anchors`][hiflow.paths.make_anchors] gives them.

    **Raises:** `ValueError` if the path takes the prior sample's noise and the prior isn't normal.

    **Example:**

    ```pycon
    >>> path = hf.paths.Relaxed(ring)
    >>> anchors = hf.paths.make_anchors(path, points)
    >>> x = hf.paths.end_law_samples(path, anchors, hf.priors.Normal(2), key=key)
    >>> hf.data.check_virial(ring, x).mean  # an end law without bias has 2
    12.579982919618487
    ```
    """
    return _ends(path, anchors, prior, choose_noise(path, prior).own, key)


@compiled()
def _ends(
    path: AbstractPath, anchors: PyTree, prior: AbstractPrior, own_noise: bool, key: PRNGKeyArray
) -> Float[Array, "n *event"]:
    n = jax.tree.leaves(anchors)[0].shape[0]
    x0 = jax.vmap(prior.sample)(jax.random.split(key, n))
    if own_noise:
        anchors = draw_anchors(path, anchors, jax.random.split(jax.random.fold_in(key, n), n))
    return jax.vmap(lambda x, anchor: path.flow(x, anchor, jnp.ones(())))(x0, anchors)


def check_anchor_dtype(dtype: str, argument: str) -> None:
    """Raise `ValueError` unless anchors can be kept in `dtype`."""
    if dtype not in ANCHOR_DTYPES:
        raise ValueError(f"{argument} must be one of {', '.join(ANCHOR_DTYPES)}; got {dtype!r}.")


def anchor_chunks(
    path: AbstractPath,
    points: Float[Array, "n *event"] | Source,
    *,
    dtype: str,
    chunk_size: int | None,
    progress: bool,
    first: int = 0,
) -> Iterator[tuple[int, PyTree]]:
    """The anchors from point `first` on, chunk by chunk, each checked, with the index it starts at."""
    from rich.progress import track

    if chunk_size is None:
        row = anchor_bytes(path, points, dtype) // points.shape[0]
        chunk_size = min(512, max(1, _ROOM // row))
    starts = range(first, points.shape[0], chunk_size)
    quiet = not progress or without_widgets()
    for start in track(starts, "anchors", disable=quiet, transient=True):
        chunk = jnp.asarray(points[start : start + chunk_size])
        with naming_points(chunk, start):
            anchors = batch_of_anchors(path, chunk, dtype)
            _check(path, anchors, start)
        yield start, anchors


@compiled()
def batch_of_anchors(path: AbstractPath, points: Float[Array, "n *event"], dtype: str) -> PyTree:
    """Anchors of some points, the wide leaves in `dtype`."""
    anchors = eqx.filter_vmap(path.anchor)(points)
    if dtype == "float32":
        return anchors

    def narrowed(leaf: Array) -> Array:
        wide = jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.size > points.size
        return leaf.astype(dtype) if wide else leaf

    return jax.tree.map(narrowed, anchors)


def _room(chunk: PyTree, n: int) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.zeros((n, *leaf.shape[1:]), leaf.dtype), chunk)


@partial(jax.jit, donate_argnums=0)
def _filled(whole: PyTree, chunk_at: tuple[PyTree, Array]) -> PyTree:
    """With a chunk's rows in their place, in the same memory."""
    chunk, start = chunk_at
    return jax.tree.map(
        lambda all, rows: jax.lax.dynamic_update_slice_in_dim(all, rows, start, 0), whole, chunk
    )


def _check(path: AbstractPath, anchors: PyTree, start: int) -> None:
    for name, leaf in jax.tree_util.tree_leaves_with_path(anchors):
        narrow = ", or too large for float16" if leaf.dtype == jnp.float16 else ""
        complaint = f"anchor{jax.tree_util.keystr(name)} is not finite{narrow}"
        _refuse(path, jnp.isfinite(leaf), complaint, start)
    if isinstance(anchors, SpectralAnchor):
        _refuse(path, anchors.speeds > 0, "a rate is not positive", start)


def _refuse(path: AbstractPath, good: Array, complaint: str, start: int) -> None:
    bad = ~good.reshape(good.shape[0], -1).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{type(path).__name__}: {complaint} at {int(bad.sum())} of {bad.size} data points from "
            f"index {start} on, first at index {start + int(jnp.argmax(bad))}. Look at the energy "
            "there, and at the spectral maps' domains (Shifted takes no eigenvalue below `least`)."
        )
