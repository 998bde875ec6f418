"""`[data]`: training, validation and test points from an energy, from files, or from images."""

import zlib

import jax
import numpy as np
from jaxtyping import Array, Float

from hiflow import data, energies
from hiflow.experiments._condition import Condition
from hiflow.experiments._files import (
    BESIDE,
    FILES,
    OPTIONS,
    check_files,
    check_sizes,
    split_files,
    training_file,
)
from hiflow.experiments._image_data import (
    chosen_images,
    class_names,
    from_images,
    labels_of,
    pixels_of,
)
from hiflow.experiments._toml import ConfigError, Experiment, Table, check_names, parameters

_OWN = ("size", "test", "validation", "seed")
_IMAGES = ("images", "folder", "side", "alpha", "shift", "scale", "condition")
_VALIDATION = 2**16
_HIDDEN = ("energy", "key", "size", "progress")


def event_shape(experiment: Experiment, energy: energies.AbstractEnergy | None) -> tuple[int, ...]:
    """The shape of one event: the energy's, or that of the points in the data file. Checks `[data]`.

    **Raises:** `ConfigError` for an unknown keyword or missing data; what
    [`hiflow.data.load`][hiflow.data.load] and [`hiflow.data.images`][hiflow.data.images] raise for what
    can't be read.
    """
    table = experiment.tables.get("data", {})
    sampling = [name for name in parameters(data.sample) if name not in _HIDDEN]
    from_file = any(name in table for name in FILES)
    known = _IMAGES if "images" in table else (*FILES, *OPTIONS, *BESIDE) if from_file else sampling
    if not from_file and "images" not in table:
        _refuse_conditions(table)
    check_names(table, [*_OWN, *known], "[data]")
    check_sizes(table)
    if "images" in table:
        labels_of(table)  # Refuses other conditions.
        return pixels_of(table)[0].shape[1:]
    if energy is None and "file" not in table:
        raise ConfigError(
            "[data] needs a `file` or `images`, or the experiment an [energy] to draw from."
        )
    shape = None if energy is None else energy.event_shape
    if from_file:
        shape = check_files(table, energy)
    assert shape is not None
    return shape


def _refuse_conditions(table: Table) -> None:
    for name in ("condition", *BESIDE):
        if name in table:
            raise ConfigError(
                f"[data]: `{name}` is what files and images tell of their points; points that are drawn "
                "from an [energy] have none. Give a `file`."
            )


def condition_of(
    experiment: Experiment, energy: energies.AbstractEnergy | None
) -> Condition | None:
    """What the experiment's points come with, if `[data]` names a condition."""
    table = experiment.tables.get("data", {})
    if not {"condition", "condition_file"} & set(table):
        return None
    if "images" in table:
        train, _ = labels_of(table) or (np.zeros(0), None)
        names = class_names(train)
        return Condition(names, 1, len(names))
    return Condition.of(training_file(table, energy))


def from_file(experiment: Experiment) -> bool:
    """Whether the points are read from files: nothing but they is known of their distribution."""
    return any(name in experiment.tables.get("data", {}) for name in FILES)


def make_data(
    experiment: Experiment, energy: energies.AbstractEnergy | None, seed: int, *, progress: bool
) -> tuple[Float[Array, "n *event"], Float[Array, "m *event"]]:
    """Training and test points: from files, from images, or drawn from the energy.

    `[data]` takes `size` and `test` (how many of each), `validation` (how many to choose settings by),
    `seed` (the run's by default), and `file` and `test_file` (a path or a list of them) with
    `topology`, `frames` and `independent` of [`hiflow.data.load`][hiflow.data.load], or `images` with
    `folder` and `side` of [`hiflow.data.images`][hiflow.data.images] and `alpha`, `shift` and `scale` of
    [`PixelTransform`][hiflow.data.PixelTransform], or the keywords of
    [`hiflow.data.sample`][hiflow.data.sample].

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> what = experiments.read("ring-quick", [("data.test", 50)])
    >>> train, test = experiments.make_data(what, ring, seed=0, progress=False)
    >>> train.shape, test.shape
    ((20, 2), (50, 2))
    ```
    """
    train, test = make_samples(experiment, energy, seed, progress=progress)
    return train.points, test.points


def make_samples(
    experiment: Experiment, energy: energies.AbstractEnergy | None, seed: int, *, progress: bool
) -> tuple[data.Samples, data.Samples]:
    """As `make_data`, with the chains that the points come from: none is on both sides.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> what = experiments.read("ring-quick", [("data.test", 50)])
    >>> train, test = experiments.make_samples(what, ring, seed=0, progress=False)
    >>> type(train).__name__, test.shape
    ('Samples', (50, 2))
    ```
    """
    table = dict(experiment.tables.get("data", {}))
    if "images" in table:
        train, _, test = from_images(experiment, seed)
        return train, test
    if "file" in table:
        train, _, test = _from_files(table, energy, seed)
    else:
        size, number = table.pop("size", None), table.pop("test", 256)
        table.pop("validation", None)
        keys = jax.random.split(jax.random.key(table.pop("seed", seed)))
        assert energy is not None, "event_shape has refused an experiment without data"
        train, test = _drawn(energy, table, size or 10_000, number, (keys[0], keys[1]), progress)
    if energy is not None:
        train, test = (_projected(part, energy) for part in (train, test))
    return train, test


def test_origins(
    experiment: Experiment, seed: int, test: data.Samples
) -> list[int] | list[str] | None:
    """Which of the file's chains or points, or of the images, the test points are: other seeds may hold
    some of them too. `None` for points that are drawn."""
    table = experiment.tables.get("data", {})
    if "images" in table:
        return chosen_images(table, seed, *map(len, pixels_of(table)))[1].tolist()
    if "file" not in table:
        return None
    if test.chains is not None:
        return test.chains.tolist()
    return [f"{zlib.crc32(row.tobytes()):08x}" for row in np.asarray(test.points)]


def _from_files(
    table: Table, energy: energies.AbstractEnergy | None, seed: int
) -> tuple[data.Samples, data.Samples | None, data.Samples]:
    return split_files(table, energy, jax.random.split(jax.random.key(table.get("seed", seed)))[1])


def _projected(samples: data.Samples, energy: energies.AbstractEnergy) -> data.Samples:
    return samples.moved(jax.vmap(energy.group.project)(samples.points))


def make_validation(
    experiment: Experiment,
    energy: energies.AbstractEnergy | None,
    seed: int,
    *,
    progress: bool,
) -> Float[Array, "n *event"]:
    """The points to choose settings by, `validation` of them: a draw of its own from the energy, or
    points of the file or images that are left out of the training set.

    **Raises:** `ConfigError` if `[data]` asks for none.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> what = experiments.read("ring-quick", [("data.validation", 30)])
    >>> experiments.make_validation(what, ring, seed=0, progress=False).shape
    (30, 2)
    ```
    """
    return validation_samples(experiment, energy, seed, progress=progress).points


def validation_samples(
    experiment: Experiment,
    energy: energies.AbstractEnergy | None,
    seed: int,
    *,
    progress: bool,
) -> data.Samples:
    """As `make_validation`, with the conditions of the points."""
    table = dict(experiment.tables.get("data", {}))
    size = table.get("validation", 0)
    if size < 2:
        raise ConfigError(f"[data]: `validation` must be at least 2 to choose by, got {size}.")
    if "images" in table:
        held = from_images(experiment, seed)[1]
        assert held is not None, "the table asks for some"
        return held
    if "file" in table:
        held = _from_files(table, energy, seed)[1]
        assert held is not None, "the table asks for some"
        held = data.Samples(held.points, condition=held.condition, classes=held.classes)
        return held if energy is None else _projected(held, energy)
    assert energy is not None, "event_shape has refused an experiment without data"
    table.pop("validation")
    # Keys that are split off are those that 0, 1, … are folded into: the test points have one of them.
    key = jax.random.fold_in(jax.random.key(table.pop("seed", seed)), _VALIDATION)
    settings = {name: table[name] for name in table if name not in ("size", "test")}
    drawn = data.sample(energy, key=key, size=size, progress=progress, **settings)
    return data.Samples(jax.vmap(energy.group.project)(drawn.points))


def _drawn(
    energy: energies.AbstractEnergy,
    table: Table,
    size: int,
    test: int,
    keys: tuple[Array, Array],
    progress: bool,
) -> tuple[data.Samples, data.Samples]:
    if isinstance(energy, energies.SupportsSampling):
        drawn = data.sample(energy, key=keys[0], size=size + test, progress=progress, **table)
        return drawn.split(test, key=keys[1])
    # Test points from chains of their own, one each where there are enough: points of one chain are
    # correlated.
    points, held_out = (
        data.sample(energy, key=key, size=number, progress=progress, **table)
        for key, number in zip(keys, (size, test), strict=True)
    )
    return points, held_out
