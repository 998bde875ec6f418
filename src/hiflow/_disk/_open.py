"""Files opened to be read, without a wait for what may never come."""

import io
import os
from pathlib import Path


def open_file(path: str | os.PathLike[str]) -> io.BufferedIOBase:
    """A regular file, open in binary.

    **Raises:** `FileNotFoundError`, `IsADirectoryError`, `PermissionError` with the path; `OSError` for
    a pipe or a device, reading which may never end.
    """
    path = Path(path)
    if path.exists() and not path.is_dir() and not path.is_file():
        raise OSError(f"{path}: is no regular file.")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, not a file.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file.")
    return path.open("rb")
