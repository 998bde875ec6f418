"""Files opened to be read, without a wait for what may never come; files that may be written."""

import io
import os
from collections.abc import Collection
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


def check_new_file(path: str | os.PathLike[str], endings: Collection[str]) -> None:
    """Refuse a file that is not to be written, before what goes into it is computed.

    **Raises:** `ValueError` if it exists, its name has another ending, or its folder is none.
    """
    path = Path(path)
    if path.exists():
        raise ValueError(f"{path} exists; choose another file by --out.")
    if path.suffix not in endings:
        raise ValueError(f"--out must end in one of {', '.join(endings)}; got {str(path)!r}.")
    if not path.parent.is_dir():
        raise ValueError(f"--out {path}: {path.parent} is no folder. Make it first.")
