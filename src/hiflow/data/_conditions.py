"""The conditions of points as files have them: classes by whole numbers or words, or vectors."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from hiflow._checks import refuse_not_finite
from hiflow._disk import read_arrays, read_text
from hiflow._words import nearest

File = str | os.PathLike[str]
Columns = Mapping[str, np.ndarray]
Asked = tuple[str | Sequence[str] | None, Path | None]
"""Of a condition: its name or names, and the file that it is in, if that is another."""
Told = tuple[np.ndarray, tuple[str, ...] | None]
"""The conditions of points as a file has them, and the names of all classes if it tells these too."""
CONDITION, CLASSES = "condition", "classes"
"""What `Samples.save` calls them."""
_SUFFIXES = (".npy", ".npz", ".csv")


def files_beside(files: File | Sequence[File] | None, number: int) -> list[Path | None]:
    """The file of conditions of each file of points."""
    if files is None:
        return [None] * number
    each = [files] if isinstance(files, str | os.PathLike) else list(files)
    if len(each) != number:
        raise ValueError(
            f"load: `condition_file` must be one for each of {number} files, got {len(each)}."
        )
    return [Path(file) for file in each]


def rows_in(
    asked: Asked | None, columns: Columns, number: int, path: Path, chosen: slice
) -> Told | None:
    """The conditions of the chosen points, as the file has them."""
    if asked is None:
        return None
    condition, other = asked
    found = columns if other is None else _columns_of(other)
    what = f"load: {str(other or path)!r}: `condition`"
    rows, names = _rows_of(found, condition, number, what), found.get(CLASSES)
    if names is None or condition != CONDITION or rows.dtype.kind != "U":
        return rows[chosen], None
    return rows[chosen], tuple(map(str, names.ravel().tolist()))


def rows_together(
    parts: list[Told | None], paths: list[Path], classes: Sequence[str] | None
) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """The conditions of all files together; of classes their numbers, in the order of these `classes`,
    of those that the files agree on, or of numbers and of the alphabet."""
    found = [part[0] for part in parts if part is not None]
    if isinstance(classes, str):
        raise ValueError(f"load: `classes` must be the names, a list of them; got {classes!r}.")
    if not found:
        if classes is not None:
            raise ValueError("load: `classes` are names of a `condition`'s; give that too.")
        return None, None
    names = ", ".join(map(str, paths))
    if len({(part.shape[1:], part.dtype.kind) for part in found}) > 1:
        raise ValueError(f"load: the files {names} have conditions of several kinds.")
    what = f"load: {names!r}: `condition`"
    rows, present = _as_rows(np.concatenate(found), what)
    told = {part[1] for part in parts if part is not None}
    agreed = told.pop() if len(told) == 1 else None
    order = agreed if classes is None else tuple(map(str, classes))
    return (rows, present) if order is None else _numbered(rows, present, order, what)


def _numbered(
    rows: np.ndarray, present: tuple[str, ...] | None, order: tuple[str, ...], what: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Classes by their numbers in another order of their names."""
    if present is None:
        raise ValueError(f"{what} holds vectors, which `classes` can't name. Leave `classes` out.")
    unknown = [name for name in present if name not in order]
    if unknown or len(set(order)) < len(order):
        raise ValueError(
            f"{what} holds the class {', '.join(map(repr, unknown)) or 'that is named twice'}, and "
            f"`classes` are {', '.join(order)}."
        )
    return np.asarray([order.index(name) for name in present], np.int32)[rows], order


def _rows_of(
    columns: Columns, condition: str | Sequence[str] | None, number: int, what: str
) -> np.ndarray:
    """The rows of one column, or of several side by side as a vector.

    **Arguments:**

    - `columns`: the arrays of a file by name; an array alone has the name `""`.
    - `condition`: the names; `None` for the only column.
    - `number`: how many rows there must be.

    **Raises:** `ValueError` for a column that isn't there, of another length, or of words in a vector.
    """
    names = [condition] if isinstance(condition, str) else condition
    if names is None and len(columns) == 1:
        names = list(columns)
    if names is None or not names or any(name not in columns for name in names):
        missing = next((name for name in names or () if name not in columns), None)
        end = "." if missing is None else nearest(missing, columns)
        there = ", ".join(columns) if any(columns) else "none by name"
        raise ValueError(
            f"{what} must name what the file tells of every point: {there}; got {condition!r}{end}"
        )
    found = [np.asarray(columns[name]) for name in names]
    for name, rows in zip(names, found, strict=True):
        if rows.ndim == 0 or len(rows) != number:
            raise ValueError(
                f"{what}: {name or 'the array'} must have one row for each of {number:,} points; got "
                f"shape {rows.shape}."
            )
    if len(found) == 1:
        return found[0]
    if any(rows.dtype.kind not in "iuf" for rows in found):
        raise ValueError(f"{what}: several columns make a vector, and must hold numbers.")
    return np.concatenate([rows.reshape(number, -1).astype(np.float64) for rows in found], axis=1)


def _columns_of(path: Path) -> Columns:
    """The columns of a file of conditions: `.csv` with a line of names, `.npz`, or one array.

    **Raises:** `FileNotFoundError` without the file; `ValueError` for what can't be read.
    """
    what = f"load: `condition_file` {str(path)!r}"
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"{what} must end in one of {', '.join(_SUFFIXES)}.")
    refuse_missing(path, " (`condition_file`)")
    if path.suffix == ".csv":
        return _table(read_text(path, "Save it anew as text in UTF-8."), what)
    try:
        return read_arrays(path)
    except ValueError as error:
        raise ValueError(f"{what} can't be read ({error}). Save it anew by numpy.") from error


def refuse_missing(path: Path, argument: str = "") -> None:
    """Raise `FileNotFoundError` for a file that isn't there, and say where it was sought."""
    if not path.exists():
        sought = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise FileNotFoundError(f"load: there is no file {str(path)!r}{sought}{argument}.")


def _as_rows(raw: np.ndarray, what: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Classes by their number, with their names in order, or vectors.

    Whole numbers from 0 and words are classes, in the order of numbers or of the alphabet; floats are
    vectors.

    **Raises:** `ValueError` for negative numbers, several whole numbers or words for a point, empty
    words, NaN and anything else.
    """
    if raw.ndim == 2 and raw.shape[1] == 1 and raw.dtype.kind != "f":
        raw = raw[:, 0]
    if raw.dtype.kind == "f":
        if raw.ndim > 2 or raw.size == 0:
            raise ValueError(f"{what} must hold a vector for each point; got shape {raw.shape}.")
        cure = "Leave these points out."
        with np.errstate(over="ignore"):  # What single precision doesn't hold is refused too.
            raw = raw.astype(jnp.result_type(float))
        refuse_not_finite(raw.reshape(len(raw), -1), what, kind="conditions", cure=cure)
        return raw, None
    if raw.dtype.kind not in "biuUS":
        raise ValueError(
            f"{what} must hold classes (whole numbers or words) or vectors of floats; got {raw.dtype}."
        )
    if raw.ndim != 1:
        raise ValueError(
            f"{what} must hold one class for each point, or floats for a vector; got {raw.dtype} of "
            f"shape {raw.shape}. Of one-hot rows take numpy.argmax(rows, axis=1)."
        )
    if raw.dtype.kind == "i" and raw.min() < 0:
        raise ValueError(
            f"{what}: classes are whole numbers from 0, or words; got {raw.min()}. Number them from 0, "
            "or store floats if they are numbers and no classes."
        )
    if raw.dtype.kind == "S":
        raw = np.char.decode(raw, "utf-8")
    if raw.dtype.kind == "U" and (empty := np.char.strip(raw) == "").any():
        raise ValueError(f"{what}: point {int(np.argmax(empty))} has no class. Leave it out.")
    names, numbers = np.unique(raw, return_inverse=True)
    return numbers.astype(np.int32), tuple(str(name) for name in names.tolist())


def _table(text: str, what: str) -> Columns:
    """Of whole numbers, floats or words each."""
    lines = [line for line in csv.reader(text.splitlines(), skipinitialspace=True) if line]
    if len(lines) < 2:
        raise ValueError(f"{what} must have a line of names, and one for each point.")
    names, *rows = [[cell.strip() for cell in line] for line in lines]
    if all(_is_number(name) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"{what} must begin with a line of names, each once; got {names}.")
    for place, row in enumerate(rows, start=2):
        if len(row) != len(names) or "" in row:
            raise ValueError(
                f"{what}: line {place} must have a value for each of {', '.join(names)}; got {row}."
            )
    return {
        name: _column(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)
    }


def _column(cells: Sequence[str]) -> np.ndarray:
    # To Python 1_0 is a number; to whoever wrote it, a name.
    for kind in () if any("_" in cell for cell in cells) else (int, float):
        try:
            return np.asarray([kind(cell) for cell in cells])
        except ValueError:
            continue
    return np.asarray(cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
