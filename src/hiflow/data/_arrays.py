"""Points in files of NumPy: which array they are, and what stands beside them."""

from pathlib import Path

import numpy as np

from hiflow._disk import array_or_archive, open_file
from hiflow.data._conditions import CLASSES, Asked, Columns


def array_in(
    path: Path, key_name: str | None, asked: Asked | None
) -> tuple[np.ndarray, np.ndarray | None, Columns]:
    """Points, their chains, and what else the file has that may be their condition."""
    columns: Columns = {}
    try:
        with open_file(path) as file:
            stored = array_or_archive(file, path.suffix)
            if isinstance(stored, np.ndarray):
                return stored, None, {}
            names = list(stored)
            told = _names(asked)
            name = _pick([each for each in names if each not in told], key_name, path)
            points, chains = stored[name], stored.get("chains")
            if asked is not None and asked[1] is None:
                beside = (
                    {*told, CLASSES} & set(names) if told and set(told) <= set(names) else names
                )
                columns = {each: stored[each] for each in beside if each not in (name, "chains")}
    except ValueError as error:
        if str(error).startswith("load:"):
            raise
        raise ValueError(
            f"load: {str(path)!r} can't be read ({error}). It is truncated, not a NumPy file, or "
            "holds pickled objects, which are refused: save it anew with numpy.save of a plain "
            "float array."
        ) from error
    if chains is not None and chains.shape != points.shape[:1]:
        # With several arrays in the file the labels may be another one's.
        if name != "points":
            return points, None, columns
        raise ValueError(
            f"load: `chains` in {str(path)!r} must hold one label for each of {len(points)} points, got "
            f"shape {chains.shape}."
        )
    return points, chains, columns


def _names(asked: Asked | None) -> list[str]:
    """Those of the conditions."""
    said = None if asked is None else asked[0]
    return [said] if isinstance(said, str) else list(said or ())


def _pick(names: list[str], key_name: str | None, path: Path) -> str:
    if key_name is None and "points" in names:
        return "points"
    if key_name is None and len(names) == 1:
        return names[0]
    sampled = [name for name in names if name.endswith("/samples")]
    if key_name is None and len(sampled) == 1:  # As `hiflow sample` writes it.
        return sampled[0]
    if key_name not in names:
        raise ValueError(
            f"load: `key_name` must name one of the arrays in {str(path)!r}: {', '.join(names)}; "
            f"got {key_name!r}."
        )
    return key_name
