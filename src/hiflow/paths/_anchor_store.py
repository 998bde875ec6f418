"""Anchors on disk: one memory-mapped file per leaf, written chunk by chunk, read row by row."""

import dataclasses
import mmap
import os
import re
import shutil
import tempfile
import warnings
import weakref
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from hiflow._disk import fingerprint, read_json, write_json
from hiflow.data import Source
from hiflow.paths._anchors import anchor_chunks, batch_of_anchors, check_anchor_dtype
from hiflow.paths._base import AbstractPath

_FORMAT = 1
# XLA takes host memory as it is, without a copy, if it is aligned to this.
_ALIGNMENT = 64


@dataclasses.dataclass(frozen=True, eq=False)
class AnchorStore:
    """Anchors of a whole data set on disk, of which rows are read as they are needed.

    [`store_anchors`][hiflow.paths.store_anchors] makes one, and `fit(anchor_dir=...)` trains from it.

    **Arguments:**

    - `anchors`: the PyTree, every leaf a memory-mapped array with a leading axis of length `n`.
    - `folder`: where its files are; deleted with the store if `temporary`.

    **Example:**

    ```pycon
    >>> store = hf.paths.store_anchors(hf.paths.Langevin(ring), points, "anchors")
    >>> store.row_bytes, store.anchors.speeds.shape
    (48, (200, 2))
    >>> flow = hf.fit("mlp", hf.paths.Langevin(ring), points, prior="normal", key=key,
    ...               steps=2, anchor_dir="anchors", progress=False)  # finds them there
    ```
    """

    anchors: PyTree
    folder: Path
    temporary: bool = False

    def __post_init__(self) -> None:
        if self.temporary:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def __len__(self) -> int:
        return jax.tree.leaves(self.anchors)[0].shape[0]

    @property
    def row_bytes(self) -> int:
        """What the anchor of one point takes."""
        return _row_bytes(self.anchors)

    def rows(self, index: Int[np.ndarray, "*shape"], into: Any = None) -> Any:
        """The anchors of some points, in memory, with leading axes as those of `index`.

        `into` is what an earlier call with as many gave and nobody needs any more: it is overwritten,
        which spares the system from finding new memory.
        """
        into = jax.tree.map(lambda leaf: _room(leaf, index), self.anchors) if into is None else into
        return jax.tree.map(lambda leaf, rows: _gathered(leaf, index, rows), self.anchors, into)


def store_anchors(
    path: AbstractPath,
    points: Float[Array, "n *event"] | Source,
    directory: str | os.PathLike[str] | None,
    *,
    dtype: str = "float32",
    chunk_size: int | None = None,
    progress: bool = False,
) -> AnchorStore:
    """Anchors as [`make_anchors`][hiflow.paths.make_anchors] gives them, in files instead of memory.

    They are written to a folder of `directory` named by a fingerprint of path, points and `dtype`: a
    finished one is used again, an interrupted one is gone on with. A path that can't be identified by
    its value (its energy holds a function, or its class was typed into a script) gets a folder of its
    own, with a warning, that is deleted with the store.

    **Arguments:** as `make_anchors`'s, and

    - `directory`: where the folder is put; `None` for the system's temporary folder (`TMPDIR`), from
      which it is deleted with the store.

    **Raises:** `ValueError` for anchors that `make_anchors` refuses, and for a folder that is corrupt.
    `OSError` if the disk has too little room.

    **Example:**

    ```pycon
    >>> store = hf.paths.store_anchors(hf.paths.Langevin(ring), points, "anchors")
    >>> rows = store.rows(np.array([3, 1, 4]))
    >>> rows.centre.shape
    (3, 2)
    ```
    """
    check_anchor_dtype(dtype, "store_anchors: `dtype`")
    shape = jax.ShapeDtypeStruct(points.shape, points.dtype)
    anchors = eqx.filter_eval_shape(batch_of_anchors, path, shape, dtype)
    if directory is None:
        name, folder = None, Path(tempfile.mkdtemp(prefix="hiflow-anchors-"))
    else:
        name = _name(path, points, dtype)
        folder = _unshared(path, Path(directory)) if name is None else Path(directory) / name
    files = _Files(folder.absolute(), anchors)
    try:
        done = files.rows_done()
        if done < len(points):
            files.allocate(done)
        for start, chunk in anchor_chunks(
            path, points, dtype=dtype, chunk_size=chunk_size, progress=progress, first=done
        ):
            files.write(start, chunk)
        return AnchorStore(files.mapped(), files.folder, temporary=name is None)
    except BaseException:
        if name is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _name(path: AbstractPath, points: Array | Source, dtype: str) -> str | None:
    precision = str(jnp.result_type(float))
    held = points.identity if isinstance(points, Source) else points
    return fingerprint(path=path, points=held, dtype=dtype, precision=precision).lasting


class _Files:
    """The files of a store in the making: a `.npy` per leaf, and a manifest that counts the rows."""

    def __init__(self, folder: Path, anchors: PyTree):
        self.folder = folder
        self._manifest = folder / "manifest.json"
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(anchors)
        self._leaves = {_file_name(i, name): leaf for i, (name, leaf) in enumerate(leaves)}
        self._length = leaves[0][1].shape[0]

    def rows_done(self) -> int:
        """How many rows are on disk for good."""
        if not self._manifest.exists():
            return 0
        try:
            manifest = read_json(self._manifest, "")
            done = manifest.pop("rows")
            if manifest != self._description() or not 0 <= done <= self._length:
                raise ValueError("the manifest describes other anchors")
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise self._corrupt(error) from error
        self.mapped()
        return done

    def allocate(self, done: int) -> None:
        """Give every file its full length, if there is room."""
        needed = (self._length - done) * _row_bytes(list(self._leaves.values()))
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise OSError(
                f"the anchors need {needed:,} bytes in {self.folder}, where {free:,} are free. Choose "
                "another folder, a smaller rank or dtype 'float16', or make room."
            )
        for name, leaf in self._leaves.items():
            # Never emptied: another process may be writing the same rows.
            with open(os.open(self.folder / name, os.O_RDWR | os.O_CREAT), "r+b") as file:
                header = {"descr": leaf.dtype.str, "fortran_order": False, "shape": leaf.shape}
                np.lib.format.write_array_header_1_0(file, header)
                file.truncate(file.tell() + leaf.size * leaf.dtype.itemsize)
        self._mark(done)

    def write(self, start: int, chunk: PyTree) -> None:
        """Put a chunk's rows in their place, and then count them."""
        rows = jax.tree.leaves(chunk)
        for (name, leaf), part in zip(self._leaves.items(), rows, strict=True):
            with (self.folder / name).open("r+b") as file:
                file.seek((start - self._length) * _row_bytes(leaf), os.SEEK_END)
                file.write(np.ascontiguousarray(part).data)
                file.flush()
                os.fsync(file.fileno())
        self._mark(start + rows[0].shape[0])

    def mapped(self) -> PyTree:
        """The PyTree, memory-mapped."""
        try:
            arrays = [_mapped(self.folder / name) for name in self._leaves]
            for (name, leaf), array in zip(self._leaves.items(), arrays, strict=True):
                if (array.shape, array.dtype) != (leaf.shape, leaf.dtype):
                    raise ValueError(f"{name} holds {array.dtype}{array.shape}")
        except (ValueError, EOFError, OSError) as error:
            raise self._corrupt(error) from error
        return jax.tree.unflatten(self._structure, arrays)

    def _mark(self, rows: int) -> None:
        write_json(self._manifest, {"rows": rows, **self._description()})

    def _description(self) -> dict[str, object]:
        leaves = {name: [leaf.dtype.str, *leaf.shape] for name, leaf in self._leaves.items()}
        return {"format": _FORMAT, "leaves": leaves}

    def _corrupt(self, error: Exception) -> ValueError:
        return ValueError(
            f"the anchors in {self.folder} are truncated, corrupt or of another version "
            f"({type(error).__name__}: {error}). Delete that folder; they will be made anew."
        )


def _mapped(file: Path) -> np.ndarray:
    if file.exists() and not file.is_file():
        raise OSError(f"{file} is no regular file")
    try:
        return np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        raise
    except Exception as error:  # NumPy parses the header as Python, and raises what parsers raise.
        raise ValueError(f"{file.name}: {error}") from error


def _unshared(path: AbstractPath, directory: Path) -> Path:
    warnings.warn(
        f"the anchors of {type(path).__name__} can't be identified by its value (its energy holds a "
        "function, or a class was typed into a script or notebook), so they are written for this run "
        "alone and deleted after it. Put the energy's class into a module to use them again.",
        stacklevel=3,
    )
    directory.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=directory, prefix="unidentified-"))


def _file_name(number: int, name: jax.tree_util.KeyPath) -> str:
    readable = re.sub(r"[^\w.]", "_", jax.tree_util.keystr(name))
    return f"{number:02d}{readable}.npy"


def _row_bytes(anchors: PyTree) -> int:
    leaves = jax.tree.leaves(anchors)
    return sum(leaf.size // leaf.shape[0] * leaf.dtype.itemsize for leaf in leaves)


def _room(leaf: np.memmap, index: np.ndarray) -> np.ndarray:
    shape = (*index.shape, *leaf.shape[1:])
    size = int(np.prod(shape)) * leaf.dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    offset = -memory.ctypes.data % _ALIGNMENT
    return memory[offset : offset + size].view(leaf.dtype).reshape(shape)


def _gathered(leaf: np.memmap, index: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if _row_bytes(leaf) >= mmap.PAGESIZE:
        _read(leaf, index, rows)
    else:
        # Clipping only spares a buffer: every index is in range.
        np.take(leaf, index, axis=0, out=rows, mode="clip")
    return rows


def _read(leaf: np.memmap, index: np.ndarray, rows: np.ndarray) -> None:
    """Fill `rows` from the file itself: pages read through the map would count as this process's
    memory, and the system may map two megabytes for one row."""
    size = _row_bytes(leaf)
    with open(str(leaf.filename), "rb", buffering=0) as file:
        for number, row in zip(index.ravel(), rows.reshape(index.size, -1), strict=True):
            file.seek(leaf.offset + int(number) * size)
            if file.readinto(row.view(np.uint8).data) != size:
                raise OSError(f"{leaf.filename} has become shorter since training began.")
