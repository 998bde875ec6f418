"""Arrays from IDX files, the format of MNIST and its kin."""

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import cast

import numpy as np

from hiflow._disk import inflated, open_file

_IDX_TYPES = {0x08: np.uint8, 0x09: np.int8, 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def load_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """An array from an IDX file, the format of MNIST and its kin, gzipped or not.

    **Raises:** `OSError` if the file can't be opened; `ValueError` if it is truncated or something else.

    **Example:**

    ```pycon
    >>> import struct
    >>> from pathlib import Path
    >>> header = struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3)  # bytes, of two axes, 2 × 3
    >>> size = Path("tiny.idx").write_bytes(header + bytes(range(6)))
    >>> hf.data.load_idx("tiny.idx")
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint8)
    ```
    """
    path = Path(path)
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        stream = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        try:
            return _read_idx(cast(io.BufferedIOBase, stream), size)
        except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
            raise ValueError(
                f"{path}: not an IDX file, truncated or corrupt ({error}). Get it anew."
            ) from error


def _read_idx(stream: io.BufferedIOBase, size: int) -> np.ndarray:
    zeros, kind, rank = struct.unpack(">HBB", stream.read(4))
    if zeros != 0 or kind not in _IDX_TYPES:
        raise ValueError("its first bytes are others")
    shape = struct.unpack(f">{rank}I", stream.read(4 * rank))
    dtype = np.dtype(_IDX_TYPES[kind])
    return inflated(stream, dtype.itemsize * math.prod(shape), size).view(dtype).reshape(shape)
