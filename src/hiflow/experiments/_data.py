"""`[data]`: training, validation and test points from an energy, from files, or from images."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow import data, energies
from hiflow.experiments._toml import ConfigError, Experiment, Table, check_names, parameters

_OWN = ("size", "test", "validation", "seed")
_FILE = ("file", "test_file")
_IMAGES = ("images", "folder", "side", "alpha", "shift", "scale")
_HIDDEN = ("energy", "key", "size", "progress")


def event_shape(experiment: Experiment, energy: energies.AbstractEnergy | None) -> tuple[int, ...]:
    """The shape of one event: the energy's, or that of the points in the data file. Checks `[data]`.

    **Raises:** `ConfigError` for an unknown keyword or missing data; what
    [`hiflow.data.load`][hiflow.data.load] and [`hiflow.data.images`][hiflow.data.images] raise for what
    can't be read.
    """
    table = experiment.tables.get("data", {})
    sampling = [name for name in parameters(data.sample) if name not in _HIDDEN]
    from_file = any(name in table for name in _FILE)
    known = _IMAGES if "images" in table else _FILE if from_file else sampling
    check_names(table, [*_OWN, *known], "[data]")
    if "test_file" not in table and table.get("test", 2) < 2:
        raise ConfigError(
            f"[data]: `test` must be at least 2, for a standard error, got {table['test']}."
        )
    if from_file and "validation" in table:
        raise ConfigError(
            "[data]: `validation` points are drawn from the energy; leave out `file`."
        )
    if "images" in table:
        return _pixels(table)[0].shape[1:]
    if energy is None and "file" not in table:
        raise ConfigError(
            "[data] needs a `file` or `images`, or the experiment an [energy] to draw from."
        )
    shape = None if energy is None else energy.event_shape
    for name in _FILE:
        if name in table:
            shape = tuple(jnp.shape(data.load(table[name], event_shape=shape))[1:])
    assert shape is not None
    return shape


def from_file(experiment: Experiment) -> bool:
    """Whether the points are read from files: nothing but they is known of their distribution."""
    return any(name in experiment.tables.get("data", {}) for name in _FILE)


def pixel_transform(experiment: Experiment) -> data.PixelTransform | None:
    """How the experiment's points came of pixels, if they are images."""
    table = experiment.tables.get("data", {})
    if "images" not in table:
        return None
    given = {name: table[name] for name in ("alpha", "shift", "scale") if name in table}
    return data.PixelTransform(data.levels(table["images"]), **given)


def make_data(
    experiment: Experiment, energy: energies.AbstractEnergy | None, seed: int, *, progress: bool
) -> tuple[Float[Array, "n *event"], Float[Array, "m *event"]]:
    """Training and test points: from files, from images, or drawn from the energy.

    `[data]` takes `size` and `test` (how many of each), `validation` (how many to choose settings by),
    `seed` (the run's by default), and `file` and `test_file`, or `images` with `folder` and `side` of
    [`hiflow.data.images`][hiflow.data.images] and `alpha`, `shift` and `scale` of
    [`PixelTransform`][hiflow.data.PixelTransform], or the keywords of
    [`hiflow.data.sample`][hiflow.data.sample].
    """
    table = dict(experiment.tables.get("data", {}))
    if "images" in table:
        train, _, test = _from_images(experiment, seed)
        return train, test
    size, test = table.pop("size", None), table.pop("test", 256)
    table.pop("validation", None)
    key_draw, key_split = jax.random.split(jax.random.key(table.pop("seed", seed)))
    shape = None if energy is None else energy.event_shape
    if "file" in table:
        points, held_out = _from_files(table, shape, size, test, key_split)
    else:
        assert energy is not None, "event_shape has refused an experiment without data"
        points, held_out = _drawn(
            energy, table, size or 10_000, test, (key_draw, key_split), progress
        )
    if energy is not None:
        points, held_out = (jax.vmap(energy.group.project)(part) for part in (points, held_out))
    return points, held_out


def make_validation(
    experiment: Experiment,
    energy: energies.AbstractEnergy | None,
    seed: int,
    *,
    progress: bool,
) -> Float[Array, "n *event"]:
    """The points to choose settings by, `validation` of them: a draw of its own from the energy, or
    images that are left out of the training set.

    **Raises:** `ConfigError` if `[data]` asks for none.
    """
    table = dict(experiment.tables.get("data", {}))
    size = table.pop("validation", 0)
    if size < 2:
        raise ConfigError(f"[data]: `validation` must be at least 2 to choose by, got {size}.")
    if "images" in table:
        return _from_images(experiment, seed)[1]
    assert energy is not None, "event_shape refuses validation points from a file"
    key = jax.random.fold_in(jax.random.key(table.pop("seed", seed)), 1)
    settings = {name: table[name] for name in table if name not in ("size", "test")}
    drawn = data.sample(energy, key=key, size=size, progress=progress, **settings)
    return jax.vmap(energy.group.project)(drawn.points)


def _drawn(
    energy: energies.AbstractEnergy,
    table: Table,
    size: int,
    test: int,
    keys: tuple[Array, Array],
    progress: bool,
) -> tuple[Array, Array]:
    if isinstance(energy, energies.SupportsSampling):
        drawn = data.sample(energy, key=keys[0], size=size + test, progress=progress, **table)
        points, held_out = drawn.split(test, key=keys[1])
        return points.points, held_out.points
    # Test points from chains of their own, one each where there are enough: points of one chain are
    # correlated, and the standard errors count them as independent.
    points, held_out = (
        data.sample(energy, key=key, size=number, progress=progress, **table).points
        for key, number in zip(keys, (size, test), strict=True)
    )
    return points, held_out


def _from_files(
    table: Table, shape: tuple[int, ...] | None, size: int | None, test: int, key: Array
) -> tuple[Array, Array]:
    points = jnp.asarray(data.load(table["file"], event_shape=shape))
    if "test_file" in table:
        return points[:size], jnp.asarray(data.load(table["test_file"], event_shape=shape))
    if points.shape[0] <= test:
        raise ConfigError(
            f"[data]: {table['file']} has {points.shape[0]} samples, not enough to hold out {test}. "
            "Lower `test`, or give a `test_file`."
        )
    shuffled = points[np.asarray(jax.random.permutation(key, points.shape[0]))]
    return shuffled[test:][:size], shuffled[:test]


def _from_images(experiment: Experiment, seed: int) -> tuple[Array, Array, Array]:
    """Training, validation and test points: a random choice of the set's training images and of its
    test images, dequantised once and for all, since anchors belong to points."""
    table = experiment.tables["data"]
    train, test = _pixels(table)
    held, wanted = table.get("validation", 0), table.get("test", 256)
    size = table.get("size", len(train) - held)
    if size + held > len(train) or wanted > len(test) or min(size, wanted) < 1:
        raise ConfigError(
            f"[data]: {table['images']} has {len(train):,} training and {len(test):,} test images, not "
            f"`size` + `validation` = {size + held:,} and `test` = {wanted:,}."
        )
    generator = np.random.default_rng(table.get("seed", seed))
    order, chosen = generator.permutation(len(train)), generator.permutation(len(test))[:wanted]
    parts = (train[order[held : held + size]], train[order[:held]], test[chosen])
    transform = pixel_transform(experiment)
    assert transform is not None
    keys = jax.random.split(jax.random.key(table.get("seed", seed)), 3)
    made = [
        transform.forward(transform.dequantise(pixels, key=key)) if len(pixels) else jnp.zeros(0)
        for pixels, key in zip(parts, keys, strict=True)
    ]
    return made[0], made[1], made[2]


def _pixels(table: Table) -> tuple[np.ndarray, np.ndarray]:
    return data.images(table["images"], table.get("folder"), table.get("side"))
