"""`[data] images`: points made of the pixels of a set of images."""

import jax
import numpy as np
from jaxtyping import Array

from hiflow import data
from hiflow.experiments._toml import ConfigError, Experiment, Table

CLASSES = "classes"


def pixel_transform(experiment: Experiment) -> data.PixelTransform | None:
    """How the experiment's points came of pixels, if they are images.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> experiments.pixel_transform(experiments.read("ring-quick")) is None  # no images
    True
    ```
    """
    table = experiment.tables.get("data", {})
    if "images" not in table:
        return None
    given = {name: table[name] for name in ("alpha", "shift", "scale") if name in table}
    return data.PixelTransform(data.levels(table["images"]), **given)


def from_images(
    experiment: Experiment, seed: int
) -> tuple[data.Samples, data.Samples | None, data.Samples]:
    """Training, validation and test points: a random choice of the set's training images and of its
    test images, dequantised once and for all, since anchors belong to points."""
    table = experiment.tables["data"]
    train, test = pixels_of(table)
    held, wanted = table.get("validation", 0), table.get("test", 256)
    size = table.get("size", len(train) - held)
    if size + held > len(train) or wanted > len(test) or min(size, wanted) < 1:
        raise ConfigError(
            f"[data]: {table['images']} has {len(train):,} training and {len(test):,} test images, not "
            f"`size` + `validation` = {size + held:,} and `test` = {wanted:,}."
        )
    order, of_the_test = chosen_images(table, seed, len(train), len(test))
    transform = pixel_transform(experiment)
    assert transform is not None
    keys = jax.random.split(jax.random.key(table.get("seed", seed)), 3)
    labels, test_labels = labels_of(table) or (None, None)
    names = None if labels is None else class_names(labels)

    def made(
        pixels: np.ndarray, told: np.ndarray | None, rows: np.ndarray, key: Array
    ) -> data.Samples:
        points = transform.forward(transform.dequantise(pixels[rows], key=key))
        return data.Samples(points, condition=None if told is None else told[rows], classes=names)

    return (
        made(train, labels, order[held : held + size], keys[0]),
        made(train, labels, order[:held], keys[1]) if held else None,
        made(test, test_labels, of_the_test, keys[2]),
    )


def class_names(labels: np.ndarray) -> tuple[str, ...]:
    return tuple(map(str, np.unique(labels).tolist()))


def labels_of(table: Table) -> tuple[np.ndarray, np.ndarray] | None:
    """The classes of training and test images, where the table asks for them.

    **Raises:** `ConfigError` for any other condition.
    """
    if "condition" not in table:
        return None
    if table["condition"] != CLASSES:
        raise ConfigError(
            f"[data]: `condition` of images must be {CLASSES!r}, their labels; got "
            f"{table['condition']!r}."
        )
    return data.labels(table["images"], table.get("folder"))


def chosen_images(table: Table, seed: int, train: int, test: int) -> tuple[np.ndarray, np.ndarray]:
    """An order of the training images, and which test images are taken."""
    generator = np.random.default_rng(table.get("seed", seed))
    order = generator.permutation(train)
    return order, generator.permutation(test)[: table.get("test", 256)]


def pixels_of(table: Table) -> tuple[np.ndarray, np.ndarray]:
    return data.images(table["images"], table.get("folder"), table.get("side"))
