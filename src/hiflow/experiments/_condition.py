"""`[data] condition`: what points come with, a class or a vector each, and which arms are told."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hiflow import data
from hiflow.experiments._problems import ConfigError
from hiflow.experiments._structure import heading
from hiflow.experiments._toml import Table
from hiflow.networks import AbstractVelocityField, Labels, Vector, conditions_of

# A label that is another for every point or two is a number, or a point's name.
_POINTS_A_CLASS = 2
_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class Condition:
    """Of which kind the conditions of an experiment's points are.

    **Arguments:**

    - `classes`: their names, in the order of their numbers; `None` for vectors.
    - `size`: the length of a vector; 1 for classes.
    - `different`: how many different conditions the points have.
    """

    classes: tuple[str, ...] | None
    size: int
    different: int

    @classmethod
    def of(cls, samples: data.Samples) -> "Condition | None":
        """Of samples that have some."""
        rows = samples.condition
        if rows is None:
            return None
        size = 1 if rows.ndim < 2 else rows.shape[1]
        return cls(samples.classes, size, len(np.unique(rows, axis=0)))

    @property
    def asked(self) -> dict[str, Any]:
        """The arguments by which a network that doesn't say any takes them."""
        if self.classes is not None:
            return {"classes": len(self.classes)}
        return {"condition_size": self.size}

    @property
    def words(self) -> str:
        """What they are."""
        if self.classes is None:
            return "a number" if self.size == 1 else f"a vector of {self.size} numbers"
        more = ", …" if len(self.classes) > _SHOWN else ""
        return f"{len(self.classes)} classes: {', '.join(self.classes[:_SHOWN])}{more}"

    def example(self, number: int) -> Array:
        """So many conditions, all the same."""
        if self.classes is not None:
            return jnp.zeros(number, jnp.int32)
        return jnp.zeros((number, self.size))


def told(arm: Table, condition: Condition | None) -> Condition | None:
    """The conditions that an arm is told, if it is.

    **Raises:** `ConfigError` for an arm that is to be told what `[data]` doesn't have.
    """
    asked = arm.get("condition", condition is not None)
    if asked and condition is None:
        raise ConfigError(
            f"{heading('arm', arm['label'])}: `condition` is true, and [data] has no `condition`."
        )
    return condition if asked else None


def check_network(network: AbstractVelocityField, condition: Condition | None) -> None:
    """Raise `ValueError` for a network of other conditions than those that its arm is told."""
    conditions, name = conditions_of(network), type(network).__name__
    if conditions is None:
        return
    if condition is None:
        raise ValueError(
            f"{name} takes {conditions.meaning}, and its arm isn't told any condition. Leave out "
            "`classes` and `condition_size`: they follow from [data] `condition`."
        )
    words = condition.words
    if isinstance(conditions, Labels) and condition.classes is not None:
        if conditions.classes == len(condition.classes):
            return
        raise ValueError(
            f"`classes` of {name} is {conditions.classes}, and [data] has {words}. Leave it out."
        )
    if isinstance(conditions, Vector) and condition.classes is None:
        if conditions.size == condition.size:
            return
        raise ValueError(
            f"`condition_size` of {name} is {conditions.size}, and [data] `condition` is {words}. Leave "
            "it out."
        )
    if isinstance(conditions, Labels | Vector):
        other = "classes" if isinstance(conditions, Labels) else "condition_size"
        raise ValueError(
            f"`{other}` of {name} is for {conditions.meaning}, and [data] `condition` is {words}. Leave "
            "it out. In files whole numbers and words are classes, and floats are vectors."
        )
    jax.eval_shape(
        lambda rows: conditions.rows(rows, 2, "[data]: `condition`"), condition.example(2)
    )


def renumbered(samples: data.Samples, condition: Condition, what: str) -> data.Samples:
    """Samples with the class numbers of others, by the classes' names.

    **Arguments:**

    - `what`: where they are from, for errors.

    **Raises:** `ConfigError` for classes that the others don't have, or conditions of another kind.
    """
    found = Condition.of(samples)
    if (
        found is None
        or found.asked.keys() != condition.asked.keys()
        or found.size != condition.size
    ):
        kind = "none" if found is None else found.words
        raise ConfigError(
            f"{what}: the condition must be {condition.words}, as that of the training points; got "
            f"{kind}."
        )
    if condition.classes is None or samples.classes is None:
        return samples
    unseen = [name for name in samples.classes if name not in condition.classes]
    if unseen:
        raise ConfigError(
            f"{what}: no training point has the class {', '.join(map(repr, unseen))}. There are "
            f"{condition.words}."
        )
    numbers = np.asarray([condition.classes.index(name) for name in samples.classes], np.int32)
    return data.Samples(
        samples.points, samples.chains, samples.report, samples.origin,
        numbers[samples.condition], condition.classes,
    )  # fmt: skip


def check_classes(condition: Condition, number: int, what: str) -> None:
    """Raise `ConfigError` for labels that can't be classes of so many points."""
    if condition.classes is None or _POINTS_A_CLASS * len(condition.classes) <= number:
        return
    raise ConfigError(
        f"{what}: {len(condition.classes):,} different whole numbers or words of {number:,} points are "
        "no classes. Store floats for numbers."
    )


def refuse_unseen(train: data.Samples, where: str) -> None:
    """Raise `ConfigError` for classes of which there is no training point."""
    if train.classes is None:
        return
    counts = train.class_counts()
    if 0 in counts:
        names = [name for name, count in zip(train.classes, counts, strict=True) if not count]
        raise ConfigError(
            f"{where}: none of the {len(train):,} training points has the class "
            f"{', '.join(map(repr, names))}. Give more points, or leave out classes that are so rare."
        )
