"""Text and JSON read from files: UTF-8 whatever the locale, and errors that name file and way out."""

import json
import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hiflow._disk._open import open_file

T = TypeVar("T")
_MOST_DIGITS = 400


class DamagedFile(ValueError):  # noqa: N818  what is wrong with a file, as `Refused` with a setting
    """A file that isn't what hiflow wrote; the message names it and says what to do."""


def read_text(path: str | os.PathLike[str], cure: str) -> str:
    """A text file's content.

    **Arguments:**

    - `cure`: what to do if the file is damaged, a sentence.

    **Raises:** `OSError`; `DamagedFile` if it isn't UTF-8.
    """
    with open_file(path) as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{path}: damaged, isn't text in UTF-8 ({error}). {cure}") from error


def read_json(path: str | os.PathLike[str], cure: str, kind: type | None = dict) -> Any:
    """A JSON file's value, which must be of a `kind` if that isn't `None`.

    **Raises:** `OSError`; `DamagedFile` if it is damaged.
    """
    text = read_text(path, cure)
    try:
        value = parse_json(text)
    except ValueError as error:
        raise DamagedFile(f"{path}: damaged, isn't JSON ({error}). {cure}") from error
    if kind is not None and not isinstance(value, kind):
        raise DamagedFile(
            f"{path}: damaged, holds a {type(value).__name__}, not a {kind.__name__}. {cure}"
        )
    return value


def kept(path: Path, make: Callable[[], None], read: Callable[[], T]) -> T:
    """What `read` finds in a file that `make` writes, if it isn't there yet or is damaged."""
    if path.exists():
        try:
            return read()
        except (ValueError, KeyError) as error:
            warnings.warn(f"{path}: damaged ({error}); it is made anew.", stacklevel=3)
    make()
    return read()


def parse_json(text: str | bytes, *, finite: bool = False) -> Any:
    """The value of a JSON text, in which no name may be there twice.

    **Arguments:**

    - `finite`: refuse NaN and infinity, which Python writes and JSON doesn't know.

    **Raises:** `ValueError` for anything else, also where it is nested too deep.
    """
    refusing = {"parse_float": _finite, "parse_constant": _no_constant} if finite else {}
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_int=_integer, **refusing)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is beyond the floating-point numbers")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
