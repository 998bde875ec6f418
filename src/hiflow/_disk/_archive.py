"""Arrays read from files that may be damaged or hostile: none is allocated before its bytes are known to
be in the file."""

import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from hiflow._disk._open import open_file

# What a file of arrays may inflate to, in units of its own size, once it is larger than `_SMALL`.
_MOST_INFLATION = 200
_SMALL = 2**28
_CHUNK = 2**20
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Archive:
    """The arrays of an open `.npz` file by name, each read when it is asked for.

    **Arguments:**

    - `file`: open in binary.
    - `stored`: refuse compressed members, which `numpy.savez` doesn't make.

    **Raises:** `ValueError` for anything but an archive of arrays, whatever is wrong with it.
    """

    def __init__(self, file: io.BufferedIOBase, *, stored: bool = False):
        size = os.fstat(file.fileno()).st_size
        try:
            self._zip = zipfile.ZipFile(file)
        except Exception as error:  # What a damaged directory of members raises isn't documented.
            raise ValueError(_words(error)) from error
        members = self._zip.infolist()
        self._members = {each.filename.removesuffix(".npy"): each for each in members}
        if len(self._members) != len(members):
            raise ValueError("it holds two members of one name")
        total = sum(each.file_size for each in members)
        if stored and (total > size or any(each.compress_type for each in members)):
            raise ValueError(f"its members declare {total:,} bytes, and the file has {size:,}")
        if total > max(_SMALL, _MOST_INFLATION * size):
            raise ValueError(f"its {size:,} bytes would inflate to {total:,}")

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._members[name]
        try:
            with self._zip.open(member) as stream:
                return read_stream(cast(io.BufferedIOBase, stream), member.file_size)
        except Exception as error:
            raise ValueError(f"{name}: {_words(error)}") from error

    def declared(self, name: str) -> int:
        """How many bytes a member says that it has."""
        return self._members[name].file_size

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def get(self, name: str) -> np.ndarray | None:
        """The array of that name, or `None`."""
        return self[name] if name in self._members else None

    def keys(self) -> Iterator[str]:
        """The names of the arrays."""
        return iter(self)


def read_stream(stream: io.BufferedIOBase, size: int) -> np.ndarray:
    """The array of a `.npy` stream of `size` bytes.

    **Raises:** `ValueError` for anything else.
    """
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = _HEADERS[version](stream)
    except Exception as error:  # NumPy parses the header as Python, and raises what parsers raise.
        raise ValueError(f"no array of NumPy's ({_words(error)})") from error
    if dtype.hasobject or dtype.itemsize == 0:
        raise ValueError("it holds pickled objects, which are refused, or nothing")
    count = 1
    for length in shape:
        count *= int(length)
    if min(shape, default=0) < 0 or count * dtype.itemsize > size:
        raise ValueError(f"its header declares {dtype}{shape}, and it has {size:,} bytes")
    # The end has to be reached: an archive's checksums are looked at there.
    data = inflated(stream, count * dtype.itemsize, size)
    return data.view(dtype).reshape(shape, order="F" if fortran else "C")


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name, or of a `.npy` file under the name `""`.

    **Raises:** `OSError` if it can't be opened; `ValueError`, without the path, if it can't be read.
    """
    with open_file(path) as file:
        found = array_or_archive(file, Path(path).suffix)
        return {"": found} if isinstance(found, np.ndarray) else dict(found)


def array_or_archive(file: io.BufferedIOBase, suffix: str) -> np.ndarray | Archive:
    """What an open file holds by its name's suffix: an array, or an archive of them."""
    if suffix == ".npy":
        return read_stream(file, os.fstat(file.fileno()).st_size)
    return Archive(file)


def inflated(stream: io.BufferedIOBase, declared: int, size: int) -> np.ndarray:
    """`declared` bytes of a stream, which is all that it has, unpacked from a file of `size` bytes.

    **Raises:** `ValueError` if it has another number of bytes, or more than a file of that size may.
    """
    if declared > max(_SMALL, _MOST_INFLATION * size):
        raise ValueError(f"its {size:,} bytes would inflate to {declared:,}")
    data = np.empty(declared, np.uint8)
    for start in range(0, declared, _CHUNK):
        part = stream.read(min(_CHUNK, declared - start))
        if len(part) != min(_CHUNK, declared - start):
            raise ValueError("truncated")
        data[start : start + len(part)] = np.frombuffer(part, np.uint8)
    if stream.read(1):
        raise ValueError("longer than its header says")
    return data


def _words(error: Exception) -> str:
    kind = "damaged" if isinstance(error, zipfile.BadZipFile | zlib.error) else ""
    return ": ".join(filter(None, (kind, str(error)))) or type(error).__name__
