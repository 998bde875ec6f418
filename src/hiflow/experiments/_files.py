"""`[data] file`: the sizes that are asked for, and training and test points of a user's own files."""

import warnings
from os import PathLike
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array

from hiflow import data, energies
from hiflow._checks import Refused, whole
from hiflow.data._load import refuse_other_atoms
from hiflow.data._trajectory import is_trajectory
from hiflow.experiments._condition import Condition, check_classes, renumbered
from hiflow.experiments._toml import ConfigError, Table

FILES = ("file", "test_file")
OPTIONS = ("topology", "frames", "independent", "condition")
"""Of [`hiflow.data.load`][hiflow.data.load], for both files."""
BESIDE = ("condition_file", "test_condition_file")
"""Where the conditions of either are, if these are files of their own."""
_LEAST = {"size": 1, "test": 2, "validation": 2}


def check_sizes(table: Table) -> None:
    """Raise `ConfigError` for a number of points that can't be; a standard error needs two."""
    for name, least in _LEAST.items():
        if name in table and not (name == "test" and "test_file" in table):
            try:
                whole(least)(table[name])
            except Refused as error:
                raise ConfigError(f"[data]: `{name}` {error}; got {table[name]!r}.") from None


def check_files(table: Table, energy: energies.AbstractEnergy | None) -> tuple[int, ...]:
    """The shape of one event in the files, which must hold as many points as are asked for.

    **Raises:** `ConfigError` for too few points, or for test points that are the training points;
    `ValueError` and `FileNotFoundError` for files that can't be read.
    """
    if "file" not in table:
        raise ConfigError("[data]: `test_file` needs a `file` to train on.")
    _check_beside(table)
    found = {"file": _loaded(table, "file", energy)}
    condition = Condition.of(found["file"])
    if condition is not None:
        check_classes(condition, len(found["file"]), "[data]: `condition`")
    if "test_file" in table:
        found["test_file"] = _test_points(table, energy, condition)
    size, test = table.get("size"), table.get("test", 256)
    available = len(found["file"])
    if "test_file" in found:
        _refuse_test_points(table, found, energy)
    elif available <= test:
        raise ConfigError(
            f"[data]: {_named(table['file'])} has {available} samples, not enough to hold out {test}. "
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
            f"[data]: `size` is {size or 1:,}, and {_named(table['file'])} has {max(available, 0):,} "
            f"training points{beside}. Lower it."
        )
    return found["file"].event_shape


def _check_beside(table: Table) -> None:
    """Raise `ConfigError` for files of conditions without points, and points without conditions."""
    points, test_points = ("test_condition_file" in table), ("test_file" in table)
    if points and not test_points:
        raise ConfigError("[data]: `test_condition_file` goes with a `test_file`; there is none.")
    if "condition_file" in table and test_points and not points:
        raise ConfigError(
            "[data]: `test_file` needs a `test_condition_file`, as `file` has a `condition_file`."
        )
    if points and not {"condition", "condition_file"} & set(table):
        raise ConfigError(
            "[data]: `test_condition_file` goes with a `condition` of `file`; there is none."
        )


def _refuse_test_points(
    table: Table, found: dict[str, data.Samples], energy: energies.AbstractEnergy | None
) -> None:
    train, test = found["file"], found["test_file"]
    if train.event_shape != test.event_shape:
        raise ConfigError(
            f"[data]: {_named(table['file'])} has points of shape {train.event_shape}, and "
            f"{_named(table['test_file'])} of shape {test.event_shape}."
        )
    files = [set(map(Path.resolve, _paths(table[name]))) for name in FILES]
    same = bool(files[0] & files[1])
    if same or data.shared_points(train, test) == len(test):
        raise ConfigError(
            f"[data]: the points of `test_file` {_named(table['test_file'])} are training points of "
            f"`file` {_named(table['file'])}. Hold out others, or leave `test_file` out."
        )
    both = [path for name in FILES for path in _paths(table[name])]
    refuse_other_atoms(both, energy, table.get("topology"))


def hold_against_training(
    file: str | PathLike[str], table: Table, energy: energies.AbstractEnergy | None
) -> None:
    """Raise `ValueError` for a file of other atoms, or in another unit of length, than the training
    `file`; warn of frames where that isn't there to be asked."""
    trained = _paths(table["file"]) if "file" in table else []
    missing = [str(path) for path in trained if not path.exists()]
    if not is_trajectory(Path(file)) or not any(map(is_trajectory, trained)):
        return
    if missing:
        warnings.warn(
            f"{str(file)!r} isn't held against the training file, since there is no "
            f"{', '.join(missing)} here: see that its atoms and its unit of length are right.",
            stacklevel=2,
        )
        return
    refuse_other_atoms([*trained, file], energy, table.get("topology"))


def split_files(
    table: Table, energy: energies.AbstractEnergy | None, key: Array
) -> tuple[data.Samples, data.Samples | None, data.Samples]:
    """Training, validation and test points in random order, no chain on two sides.

    **Raises:** `ConfigError` if no `size` training points are left.
    """
    train, validation = _loaded(table, "file", energy), None
    if "test_file" in table:
        test = _test_points(table, energy, Condition.of(train))
        if "validation" not in table:
            train = train[np.asarray(jax.random.permutation(key, len(train)))]
    else:
        train, test = train.split(table.get("test", 256), key=key)
    if "validation" in table:
        train, validation = train.split(table["validation"], key=jax.random.fold_in(key, 1))
    size = table.get("size")
    if size is not None and size > len(train):
        raise ConfigError(
            f"[data]: `size` is {size:,}, and {_named(table['file'])} has {len(train):,} points of "
            "other chains than those held out. Lower it."
        )
    return train[:size], validation, test


def training_file(table: Table, energy: energies.AbstractEnergy | None) -> data.Samples:
    """All points of `file`."""
    return _loaded(table, "file", energy)


def _loaded(table: Table, name: str, energy: energies.AbstractEnergy | None) -> data.Samples:
    given = {option: table[option] for option in OPTIONS if option in table}
    beside = BESIDE[FILES.index(name)]
    return data.load(table[name], energy=energy, condition_file=table.get(beside), **given)


def _test_points(
    table: Table, energy: energies.AbstractEnergy | None, condition: Condition | None
) -> data.Samples:
    """Those of `test_file`, with the training points' numbers of classes."""
    found = _loaded(table, "test_file", energy)
    if condition is None:
        return found
    return renumbered(found, condition, f"[data]: `test_file` {_named(table['test_file'])}")


def _paths(files: str | list[str]) -> list[Path]:
    return [Path(file) for file in ([files] if isinstance(files, str) else files)]


def _named(files: str | list[str]) -> str:
    return ", ".join(map(str, _paths(files)))
