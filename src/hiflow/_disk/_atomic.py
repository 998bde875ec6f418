"""Files that appear whole or not at all."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file to write to, which takes its name once it is complete and on the disk.

    A crash, or an exception inside the `with` block, leaves what was there before.

    **Raises:** `OSError` where it can't be: there is no such folder, it can't be written to, or the name
    is a folder's.
    """
    target = Path(path).absolute()
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {target.parent}. Make it first.")
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"{path}: the folder {target.parent} can't be written to.")
    if target.is_dir():
        raise IsADirectoryError(f"{path}: is a folder. Name a file.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    with written(path) as file:
        file.write(text.encode())


def write_json(path: str | os.PathLike[str], value: object, *, indent: int | None = 2) -> None:
    """Write plain values as JSON, atomically."""
    write_text(path, json.dumps(value, indent=indent))
