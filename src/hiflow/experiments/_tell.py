"""The conditions of a user's own test points, by the names that a run knows."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hiflow import data
from hiflow._disk import fingerprint
from hiflow.experiments._classes import MOST, scored_under_every_class
from hiflow.experiments._condition import Condition, renumbered
from hiflow.experiments._member import Member, Told, size_of, told_of
from hiflow.flow import Flow
from hiflow.networks import conditions_of

File = str | os.PathLike[str]
Where = tuple[str | Sequence[str] | None, File | None]
"""The names of conditions, and the file that they are in, if it is another than that of the points."""


def where_conditions_stand(said: Where, table: Mapping[str, Any], told: bool) -> Where:
    """Where conditions stand: as said, or as in the run's own `file`.

    **Raises:** `ValueError` if that isn't known, or flows aren't `told` any.
    """
    if not told and said != (None, None):
        raise ValueError("--condition-array, --condition-file: no flow takes a condition.")
    if not told or said != (None, None):
        return said
    if "condition" in table and "file" in table and "condition_file" not in table:
        return table["condition"], None
    raise ValueError(
        "--condition-array: flows are told a condition of every point. Name the array of the file that "
        "holds them, or give a --condition-file."
    )


def numbered(samples: data.Samples, run: File, seed: int, file: str) -> data.Samples:
    """Samples whose classes have the numbers that the run's flows know.

    **Raises:** `ValueError` for classes that training never saw, or conditions of another kind.
    """
    told, found = told_of(run, seed), Condition.of(samples)
    if found is None:
        return samples
    if told is not None and told.classes is not None:
        return renumbered(samples, Condition(told.classes, 1, len(told.classes)), file)
    if samples.classes is None or samples.condition is None:
        return samples
    if not all(name.isdecimal() for name in samples.classes):
        raise ValueError(
            f"{file}: the classes of one flow's file, or of vectors, have no names; got "
            f"{', '.join(samples.classes)}. Give the run folder, or whole numbers from 0."
        )
    numbers = np.asarray([int(name) for name in samples.classes], np.int32)
    return data.Samples(samples.points, samples.chains, condition=numbers[samples.condition])


def tell(member: Member, flow: Flow, samples: data.Samples, told: Told | None) -> None:
    """Note a member's conditions, and score the points under every class if its flow is told one."""
    member.is_told = conditions_of(flow.network) is not None
    rows = samples.condition
    if rows is None:
        return
    digest = fingerprint(rows=rows).digest
    if told is None or told.classes is None:
        member.told = Told(digest)
        return
    member.told = Told(digest, told.classes, rows, told.counts)
    if member.is_told and member.has_density and len(told.classes) <= MOST:
        shares = told.shares(size_of(member))
        member.classes = scored_under_every_class(flow, samples, shares)
