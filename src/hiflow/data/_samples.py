"""A set of samples: points, the chains that they come from, and how they were made."""

import itertools
import math
import os
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow import _border
from hiflow._border import border
from hiflow._checks import refuse_not_finite
from hiflow._disk import array_or_archive, open_file
from hiflow.data._report import SamplingReport
from hiflow.data._suspicions import SuspiciousDataWarning


class Samples:
    """Points with their origin; wherever an array of points is expected, this serves as one.

    **Arguments:**

    - `points`: `(n, *event)`.
    - `chains`: `(n,)` integers, the Markov chain of each point; `None` if they are independent.
    - `report`: how a sampler fared, or `None` for points from elsewhere.

    **Raises:** `ValueError` if there are no points, or not one label per point.
    """

    points: Float[Array, "n *event"]
    chains: np.ndarray | None
    report: SamplingReport | None

    def __init__(self, points: object, chains: object = None, report: SamplingReport | None = None):
        self.points = jnp.asarray(points)
        self.chains = None if chains is None else np.asarray(chains)
        self.report = report
        if self.points.ndim < 1 or len(self.points) == 0:
            raise ValueError(
                f"Samples: `points` must have shape (n, *event), got {self.points.shape}."
            )
        if self.chains is not None and self.chains.shape != (len(self.points),):
            raise ValueError(
                f"Samples: `chains` must hold one label for each of {len(self.points)} points, got "
                f"shape {self.chains.shape}."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, *event)`."""
        return self.points.shape

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one point."""
        return self.points.shape[1:]

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: object) -> Any:
        """The selected `Samples`, by slice, mask or index array; the point itself by an integer."""
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"Samples: index {index} is out of range for {len(self)} points.")
            return self.points[index]
        index = index if isinstance(index, slice) else np.asarray(index)
        chains = None if self.chains is None else self.chains[index]
        return Samples(self.points[index], chains, self.report)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        array = np.asarray(self.points, dtype=dtype)
        return array.copy() if copy else array

    def __jax_array__(self) -> Array:
        return self.points

    def __repr__(self) -> str:
        return f"Samples({len(self)} points of shape {self.event_shape})"

    @border("Samples.split", key=_border.key)
    def split(self, n_test: int, key: PRNGKeyArray) -> tuple["Samples", "Samples"]:
        """Training and test samples, in random order. Whole chains go to either side, so that the test
        samples are independent of the training samples. They are of one chain in ten at the least, since
        errors are over chains: what these have beyond `n_test` is left out of both.

        **Arguments:**

        - `n_test`: number of test samples, at least 1 and below `len(self)`.
        - `key`: a PRNG key.

        **Raises:** `ValueError` for another number, or one that takes samples of every chain. Warns by
        a [`SuspiciousDataWarning`][hiflow.data.SuspiciousDataWarning] if there is one chain alone.
        """
        if not 0 < n_test < len(self):
            raise ValueError(
                f"Samples.split: `n_test` must be between 1 and {len(self) - 1}, got {n_test}."
            )
        order = np.asarray(jax.random.permutation(key, len(self)))
        side = order
        if self.chains is not None:
            names, index, counts = np.unique(self.chains, return_inverse=True, return_counts=True)
            rank = np.asarray(jax.random.permutation(key, len(names)))
            held = max(_enough(counts[np.argsort(rank)], n_test), math.ceil(len(names) / 10))
            if len(names) == 1:
                warnings.warn(
                    "Samples.split: all samples are of one chain, so test samples are correlated with "
                    "training samples. Take the test samples from another chain.",
                    SuspiciousDataWarning,
                    stacklevel=2,
                )
            elif held == len(names):
                raise ValueError(
                    f"Samples.split: `n_test` = {n_test} takes samples of all {len(names)} chains, and "
                    "leaves none to train on that the test samples are independent of. Lower it, or "
                    "give more chains."
                )
            else:
                out = rank[index][order] < held
                order, side = np.concatenate([order[out][:n_test], order[~out]]), order[out]
        # The first few of a side come from as many chains as they can, for whoever trains on a slice.
        held_out = np.isin(order, side[:n_test])
        return self[order[~held_out]], self[order[held_out]]

    def save(self, path: str | Path) -> None:
        """Write points and chains to `path`, an `.npz` file, for [`load`][hiflow.data.load].

        **Raises:** `ValueError` for another suffix.
        """
        if Path(path).suffix != ".npz":
            raise ValueError(f"Samples.save: `path` must end in .npz, got {str(path)!r}.")
        arrays: dict[str, Any] = {"points": np.asarray(self.points)}
        if self.chains is not None:
            arrays["chains"] = self.chains
        np.savez_compressed(path, **arrays)


def _enough(counts: np.ndarray, wanted: int) -> int:
    """How many chains of these lengths, from the first on, hold so many samples."""
    return int(np.searchsorted(np.cumsum(counts), wanted)) + 1


def load(
    path: str | os.PathLike[str],
    event_shape: tuple[int, ...] | None = None,
    key_name: str | None = None,
) -> Samples:
    """Samples from an `.npy` or `.npz` file.

    **Arguments:**

    - `path`: the file. Pickled arrays are refused: reading one can run any code.
    - `event_shape`: the shape of one point. Points that are stored flat, as `(n, dim)`, are
      reshaped to it.
    - `key_name`: the array to take from an `.npz` file. By default `points`, the only one, or
      the samples of the only flow that `hiflow sample` wrote.

    **Raises:** `OSError` for a file that can't be opened; `ValueError` for one of another kind,
    truncated or pickled, for an unknown `key_name`, for points of another shape or type, for NaN or
    infinity, and for an array `chains` beside `points` that isn't one label per point.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"load: there is no file {str(path)!r}.")
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"load: `path` must end in .npy or .npz, got {str(path)!r}.")
    try:
        with open_file(path) as file:
            stored = array_or_archive(file, path.suffix)
            if isinstance(stored, np.ndarray):
                points, chains = stored, None
            else:
                name = _pick(list(stored), key_name, path)
                points, chains = stored[name], stored.get("chains")
                # With several arrays in the file the labels may be another one's.
                if chains is not None and chains.shape != points.shape[:1] and name != "points":
                    chains = None
    except ValueError as error:
        if str(error).startswith("load:"):
            raise
        raise ValueError(
            f"load: {str(path)!r} can't be read ({error}). It is truncated, not a NumPy file, or "
            "holds pickled objects, which are refused: save it anew with numpy.save of a plain "
            "float array."
        ) from error
    points = _checked(points, event_shape, path)
    if chains is not None and chains.shape != points.shape[:1]:
        raise ValueError(
            f"load: `chains` in {str(path)!r} must hold one label for each of {len(points)} points, got "
            f"shape {chains.shape}."
        )
    return Samples(points, chains)


def _pick(names: list[str], key_name: str | None, path: Path) -> str:
    if key_name is None and "points" in names:
        return "points"
    if key_name is None and len(names) == 1:
        return names[0]
    sampled = [name for name in names if name.endswith("/samples")]
    if key_name is None and len(sampled) == 1:  # As `hiflow sample` writes it.
        return sampled[0]
    if key_name not in names:
        raise ValueError(
            f"load: `key_name` must name one of the arrays in {str(path)!r}: {', '.join(names)}; "
            f"got {key_name!r}."
        )
    return key_name


def _checked(points: np.ndarray, event_shape: tuple[int, ...] | None, path: Path) -> np.ndarray:
    if not (np.issubdtype(points.dtype, np.floating) or np.issubdtype(points.dtype, np.integer)):
        raise ValueError(f"load: {str(path)!r} must hold real numbers, got dtype {points.dtype}.")
    if points.ndim < 1 or points.size == 0:
        raise ValueError(
            f"load: {str(path)!r} must hold an array (n, *event) with n ≥ 1, got {points.shape}."
        )
    if event_shape is not None and points.shape[1:] != tuple(event_shape):
        if points.ndim != 2 or points.shape[1] != np.prod(event_shape):
            raise ValueError(
                f"load: {str(path)!r} must hold points of shape {tuple(event_shape)}, got an array "
                f"of shape {points.shape}.{_axes(points.shape[1:], tuple(event_shape))}"
            )
        points = points.reshape(-1, *event_shape)
    refuse_not_finite(points, f"load: {str(path)!r}", kind="points", cure="Remove them first.")
    return points.astype(jnp.result_type(float))


def _axes(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What to do about events whose axes are another's, or more by axes of length 1."""
    for order in itertools.permutations(range(len(shape))):
        if tuple(shape[i] for i in order) == wanted:
            axes = (0, *(i + 1 for i in order))
            return f" Its axes are in another order: numpy.transpose(points, {axes})."
    if tuple(size for size in shape if size > 1) == tuple(size for size in wanted if size > 1):
        return f" Reshape it: points.reshape(-1, {', '.join(map(str, wanted))})."
    return ""
