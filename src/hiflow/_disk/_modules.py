"""Modules in one file: a manifest of classes and fields, and their arrays. No code, no pickle."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hiflow._disk._archive import Archive
from hiflow._disk._arrays import write_arrays
from hiflow._disk._decode import decoded
from hiflow._disk._encode import encoded
from hiflow._disk._formats import FORMAT, in_todays_words
from hiflow._disk._open import open_file
from hiflow._disk._text import parse_json
from hiflow._disk._trust import as_packages

# A manifest names what a person has put together; one that is larger was made to be large.
_MOST_TEXT = 2**24
_MOST_NODES = 200_000


def save(tree: object, path: str | os.PathLike[str]) -> None:
    """Write `tree` (modules, containers, numbers, strings, arrays, importable functions) atomically."""
    root, arrays = encoded(tree)
    manifest = {"hiflow-format": FORMAT, "sha256": _digest(root, arrays), "root": root}
    text = np.frombuffer(json.dumps(manifest, allow_nan=False).encode(), np.uint8)
    write_arrays(path, {"manifest": text, **arrays})


def load(path: str | os.PathLike[str], trust: Sequence[str] = ()) -> Any:
    """Read what `save` wrote, and nothing else: see "What a file may do" in the documentation.

    **Arguments:**

    - `trust`: packages whose classes and functions the file may name too.

    **Raises:** `OSError` if it can't be opened; `ValueError` for a file that is damaged, that `save`
    can't have written, or that names what it may not; `ImportError` for a trusted package that isn't
    installed.
    """
    trust = as_packages(trust)
    root, arrays = _read(path)
    try:
        return decoded(root, arrays, trust)
    except ImportError as error:
        raise ImportError(f"{path}: {error}") from error
    except Exception as error:  # Whatever a component's own checks say of what the file made of it.
        raise ValueError(f"{path}: {error}") from error


def is_whole(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there, undamaged, and of a version that can be read."""
    try:
        _read(path)
    except (OSError, ValueError):
        return False
    return True


def _read(path: str | os.PathLike[str]) -> tuple[Any, dict[str, np.ndarray]]:
    """A file's tree in today's words, and its arrays, as they were written."""
    with open_file(path) as file:
        try:
            archive = Archive(file, stored=True)
            manifest = _manifest(archive)
            version = manifest["hiflow-format"]
            if version not in (1, 2, 3, 4, FORMAT):
                raise _OtherFormat(version)
            arrays = {name: archive[name] for name in archive if name != "manifest"}
            if version > 2 and manifest["sha256"] != _digest(manifest["root"], arrays):
                raise ValueError("its content isn't that of its checksum")
            return in_todays_words(manifest["root"], version), arrays
        except _OtherFormat as error:
            raise ValueError(
                f"{path}: has format {error}, and this version of hiflow reads formats 1 to {FORMAT}."
            ) from None
        except (ValueError, KeyError, OSError) as error:
            raise ValueError(
                f"{path}: truncated, corrupt, or not written by hiflow ({error}). Restore it from a "
                "copy, or from the run's checkpoint with `hiflow train --resume`."
            ) from error


class _OtherFormat(Exception):  # noqa: N818  not an error yet
    pass


def _manifest(archive: Archive) -> dict[str, Any]:
    if archive.declared("manifest") > _MOST_TEXT:
        raise ValueError("its manifest is too long")
    text = archive["manifest"].tobytes()
    if sum(map(text.count, (b"{", b"[", b","))) > _MOST_NODES:
        raise ValueError("its manifest has too many parts")
    manifest = parse_json(text.decode(), finite=True)
    names = {"hiflow-format", "root"}
    if not isinstance(manifest, dict) or not isinstance(manifest["hiflow-format"], int):
        raise ValueError("its manifest is none of hiflow's")
    if set(manifest) - {"sha256"} != names and manifest["hiflow-format"] <= FORMAT:
        raise ValueError("its manifest is none of hiflow's")
    return manifest


def _digest(root: Any, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(root, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()
