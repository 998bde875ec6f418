"""`[data] file`: the sizes that are asked for, and training and test points of a user's own files."""

from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array

from hiflow import data
from hiflow._checks import Refused, whole
from hiflow.experiments._toml import ConfigError, Table

FILES = ("file", "test_file")
_LEAST = {"size": 1, "test": 2, "validation": 2}


def check_sizes(table: Table) -> None:
    """Raise `ConfigError` for a number of points that can't be; a standard error needs two."""
    for name, least in _LEAST.items():
        if name in table and not (name == "test" and "test_file" in table):
            try:
                whole(least)(table[name])
            except Refused as error:
                raise ConfigError(f"[data]: `{name}` {error}; got {table[name]!r}.") from None


def check_files(table: Table, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of one event in the files, which must hold as many points as are asked for.

    **Raises:** `ConfigError` for too few points, or for test points that are the training points;
    `ValueError` and `FileNotFoundError` for files that can't be read.
    """
    found = {name: data.load(table[name], event_shape=shape) for name in FILES if name in table}
    if "file" not in found:
        raise ConfigError("[data]: `test_file` needs a `file` to train on.")
    size, test = table.get("size"), table.get("test", 256)
    available = len(found["file"])
    if "test_file" in found:
        _refuse_training_points(table, found)
    elif available <= test:
        raise ConfigError(
            f"[data]: {table['file']} has {available} samples, not enough to hold out {test}. "
            "Lower `test`, or give a `test_file`."
        )
    else:
        available -= test
    held = {} if "test_file" in found else {"test": test}
    if "validation" in table:
        held["validation"] = table["validation"]
        available -= table["validation"]
    if available < (size or 1):
        beside = "".join(f" beside {number:,} {name} points" for name, number in held.items())
        raise ConfigError(
            f"[data]: `size` is {size or 1:,}, and {table['file']} has {max(available, 0):,} training "
            f"points{beside}. Lower it."
        )
    return found["file"].event_shape


def _refuse_training_points(table: Table, found: dict[str, data.Samples]) -> None:
    train, test = found["file"], found["test_file"]
    if train.event_shape != test.event_shape:
        raise ConfigError(
            f"[data]: {table['file']} has points of shape {train.event_shape}, and {table['test_file']} "
            f"of shape {test.event_shape}."
        )
    same = Path(table["file"]).samefile(table["test_file"])
    if same or data.shared_points(train, test) == len(test):
        raise ConfigError(
            f"[data]: the points of `test_file` {table['test_file']} are training points of `file` "
            f"{table['file']}. Hold out others, or leave `test_file` out."
        )


def split_files(
    table: Table, shape: tuple[int, ...] | None, key: Array
) -> tuple[data.Samples, data.Samples | None, data.Samples]:
    """Training, validation and test points in random order, no chain on two sides.

    **Raises:** `ConfigError` if no `size` training points are left.
    """
    train, validation = data.load(table["file"], event_shape=shape), None
    if "test_file" in table:
        test = data.load(table["test_file"], event_shape=shape)
        if "validation" not in table:
            train = train[np.asarray(jax.random.permutation(key, len(train)))]
    else:
        train, test = train.split(table.get("test", 256), key=key)
    if "validation" in table:
        train, validation = train.split(table["validation"], key=jax.random.fold_in(key, 1))
    size = table.get("size")
    if size is not None and size > len(train):
        raise ConfigError(
            f"[data]: `size` is {size:,}, and {table['file']} has {len(train):,} points of other chains "
            f"than those held out. Lower it."
        )
    return train[:size], validation, test
