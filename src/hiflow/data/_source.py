"""Points that don't fit into memory: left where they are, and read row by row as they are needed."""

import functools
from collections.abc import Mapping, Sized
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from hiflow._checks import native
from hiflow._disk import fingerprint
from hiflow._statistics import spread_rows

_SAMPLE = 10_000
# Packages whose arrays are read from files, though they can be made arrays of NumPy as a whole.
_ON_DISK = ("h5py", "zarr")
_ARRAYS = ("__array__", "__jax_array__", "__array_interface__", "__dlpack__")


@runtime_checkable
class SupportsRows(Protocol):
    """What a [`Source`][hiflow.data.Source] reads: Grain's `RandomAccessDataSource` protocol, which its
    sources and `MapDataset` follow, and so do memory-mapped arrays and the arrays of h5py and Zarr.

    **Example:**

    ```pycon
    >>> class Squares:
    ...     def __len__(self):
    ...         return 100
    ...     def __getitem__(self, index):
    ...         return np.array([index / 100, (index / 100) ** 2])
    ...
    >>> isinstance(Squares(), hf.data.SupportsRows)
    True
    >>> hf.data.Source(Squares()).event_shape
    (2,)
    ```
    """

    def __len__(self) -> int:
        """How many points there are."""
        ...

    def __getitem__(self, index: Any) -> Any:
        """The point of an integer index; of an array, the rows of increasing indices too."""
        ...


class Source:
    """Points in random access, of which only the rows of coming batches are in memory.

    `fit(data=Source(...))` trains from one. Which points a step takes follows from the key and the
    step's number alone, so the parameters are those of a run from memory, bit for bit, also after a
    resume.

    **Arguments:**

    - `rows`: a memory-mapped array (`numpy.load(file, mmap_mode="r")`), an array of h5py or Zarr, a
      source or `MapDataset` of Grain, or anything else that has `__len__` and gives the point of an
      integer index, always the same and from any thread. A record that is a mapping is read by `field`.
    - `field`: what of a record is the point; needed if a record holds more than one array.

    **Raises:** `TypeError` for data without random access, such as Grain's `DataLoader` and
    `IterDataset`; `ValueError` if there are no points, or they aren't arrays.

    **Example:**

    ```pycon
    >>> np.save("points.npy", points)
    >>> source = hf.data.Source(np.load("points.npy", mmap_mode="r"))  # its rows stay on disk
    >>> len(source), source.event_shape
    (200, (2,))
    >>> flow = hf.fit("mlp", "optimal-transport", source, prior="normal", key=key, steps=10,
    ...               progress=False)
    ```
    """

    def __init__(self, rows: object, field: str | None = None):
        if not isinstance(rows, SupportsRows) or isinstance(rows, str | bytes | Mapping):
            raise TypeError(
                f"Source: `rows` must have __len__ and __getitem__, so that points can be read in any "
                f"order; got {type(rows).__name__}. Of a Grain DataLoader or IterDataset pass the data "
                "source or the MapDataset that it reads."
            )
        self._rows, self._field = rows, field
        self._is_array = hasattr(rows, "shape") and hasattr(rows, "dtype")
        if not isinstance(rows, Sized) or len(rows) == 0:
            raise ValueError(f"Source: `rows` ({type(rows).__name__}) holds no points.")
        first = self._read(np.zeros(1, int))
        self.shape: tuple[int, ...] = (len(rows), *first.shape[1:])
        self.dtype: np.dtype = first.dtype

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one point."""
        return self.shape[1:]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """The points of a slice, or of an array of indices, whose shape comes first then."""
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        # In increasing order and once each: what disks are quickest at, and h5py asks for.
        wanted, back = np.unique(index, return_inverse=True)
        return self._read(wanted)[back.reshape(np.shape(index))]

    def __repr__(self) -> str:
        return (
            f"Source({len(self)} points of shape {self.event_shape}, {type(self._rows).__name__})"
        )

    def sample(self, size: int = _SAMPLE) -> np.ndarray:
        """Points at even distances, all if there are no more, for checks that shouldn't read all."""
        return self[spread_rows(len(self), size)]

    @functools.cached_property
    def identity(self) -> str:
        """A fingerprint of how many points there are and of 10,000 of them, at even distances."""
        return fingerprint(source=(self.shape, str(self.dtype), self.sample())).digest

    def _read(self, index: np.ndarray) -> np.ndarray:
        rows: Any = self._rows
        if self._is_array:
            found = np.asarray(getattr(rows, "oindex", rows)[index])
        else:
            found = np.stack([self._point(rows[int(i)]) for i in index])
        # As JAX would hold it: in single precision unless double is on.
        found = native(found)
        return found.astype(jax.dtypes.canonicalize_dtype(found.dtype), copy=False)

    def _point(self, record: Any) -> np.ndarray:
        if isinstance(record, Mapping):
            if self._field is None and len(record) == 1:
                (record,) = record.values()
            elif self._field in record:
                record = record[self._field]
            else:
                raise ValueError(
                    f"Source: a record holds {', '.join(map(repr, record))}; say which of these is the "
                    f"point by `field`, got {self._field!r}."
                )
        point = np.asarray(record)
        if point.dtype == object:
            raise ValueError(
                f"Source: a record must be an array or a mapping that holds one, got "
                f"{type(record).__name__}."
            )
        return point


def as_source(data: object) -> Source | None:
    """A source of what isn't in memory: itself, a memory-mapped array, or rows that are no array of
    NumPy or JAX; `None` for anything else.

    **Example:**

    ```pycon
    >>> np.save("points.npy", points)
    >>> hf.data.as_source(np.load("points.npy", mmap_mode="r")).event_shape
    (2,)
    >>> hf.data.as_source(points) is None  # it is in memory
    True
    ```
    """
    if isinstance(data, Source):
        return data
    on_disk = isinstance(data, np.memmap) or type(data).__module__.split(".")[0] in _ON_DISK
    arrays = isinstance(data, list | tuple) or any(hasattr(data, name) for name in _ARRAYS)
    return Source(data) if on_disk or not arrays else None
