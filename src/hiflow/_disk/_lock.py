"""A folder that one process alone writes into."""

import json
import os
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no such locks: there a second run isn't noticed.
    fcntl = None

LOCK = "lock"


@contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a folder's lock, a file in it that names this process. The folder is made if it isn't there,
    and goes again if nothing was put into it.

    The operating system lets go of the lock when its process ends, however it ends: one that is left by
    a dead process is taken over. On a network file system whose server or mount keeps no locks
    (`nolock`), processes of several machines don't see each other's.

    **Raises:** `ValueError` if another process holds it; `OSError` if the folder can't be made.
    """
    root = Path(folder)
    made = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(f"{root}: can't be made a folder ({error.strerror}).") from error
    handle = _taken(root / LOCK)
    try:
        yield
    finally:
        if handle is not None:
            # Gone before it is let go: whoever opened it meanwhile sees that it isn't the file any more.
            (root / LOCK).unlink(missing_ok=True)
            os.close(handle)
        if made and not any(root.iterdir()):
            root.rmdir()


def in_use(folder: Path) -> bool:
    """Whether there is anything in a folder but its lock."""
    return folder.is_dir() and any(item.name != LOCK for item in folder.iterdir())


def _taken(file: Path) -> int | None:
    """The handle of the locked file; `None` where the file system has no locks."""
    if fcntl is None:
        return None
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(file)
            os.close(handle)
            raise ValueError(
                f"{file.parent} is in use by process {holder.get('pid', '?')} on "
                f"{holder.get('host', '?')}, since {holder.get('since', '?')}. Wait until it has ended, "
                "or choose another folder."
            ) from error
        except OSError as error:
            os.close(handle)
            file.unlink(missing_ok=True)
            warnings.warn(
                f"{file.parent} can't be locked ({error}): make sure that no other process writes into "
                "it.",
                stacklevel=5,
            )
            return None
        if _is_still(file, handle):
            _sign(file, handle)
            return handle
        os.close(handle)


def _sign(file: Path, handle: int) -> None:
    before, here = _holder(file), platform.node()
    if before.get("host", here) != here:
        warnings.warn(
            f"{file.parent} was in use by process {before.get('pid', '?')} on {before['host']}. If that "
            "still runs, stop one of the two: their file system keeps no locks between machines.",
            stacklevel=6,
        )
    signed = {"pid": os.getpid(), "host": here, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(signed).encode(), 0)


def _holder(file: Path) -> dict[str, Any]:
    """What a lock says of its process; nothing if that died while it wrote."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_still(file: Path, handle: int) -> bool:
    """Whether the file that was opened still has its name."""
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
