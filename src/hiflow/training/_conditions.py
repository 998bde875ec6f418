"""The conditions of a run: what may go with them, and whom couplings may pair with whom."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from hiflow.couplings import AbstractCoupling, SupportsKinds
from hiflow.data import Samples
from hiflow.networks import asked_of, conditions_of
from hiflow.networks._conditioned import rows_of
from hiflow.targets import Plain
from hiflow.training._preflight import Ready


@dataclasses.dataclass(frozen=True)
class Given:
    """The conditions of a run's points, a row for each.

    **Arguments:**

    - `data`, `held_out`: of the data and of the validation points; `None` without conditions.
    - `kinds`: a number for every data point, the same for equal conditions, where prior samples may be
      exchanged among such alone; `None` where the coupling exchanges none.
    """

    data: PyTree = None
    held_out: PyTree = None
    kinds: Int[Array, " n"] | None = None


def with_points(points: object, condition: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """The conditions that were given, or else those that come with samples; and what they ask of a
    network that is only named."""
    if condition is not None or not isinstance(points, Samples) or points.condition is None:
        return condition, asked_of(condition)
    classes = None if points.classes is None else len(points.classes)
    return jnp.asarray(points.condition), asked_of(points.condition, classes)


def check_same_classes(data: object, validation: object) -> None:
    """Raise `ValueError` for samples whose numbers mean other classes."""
    both = [each.classes for each in (data, validation) if isinstance(each, Samples)]
    if len(both) == 2 and None not in both and both[0] != both[1]:
        raise ValueError(
            f"fit: `data` numbers its classes {both[0]}, and `validation` {both[1]}. Load both with the "
            "same `classes`, as in hiflow.data.load(..., classes=data.classes)."
        )


def refuse_gaps(network: object, asked: Mapping[str, Any], condition: PyTree) -> None:
    """Raise `ValueError` for numbers of classes some of which no point has, where it is they that say
    how many classes a network is built for: what it would make of the others, nothing has told it."""
    said = isinstance(network, Mapping) and "classes" in network
    if "classes" not in asked or said or not isinstance(network, str | Mapping):
        return
    counts = np.bincount(np.maximum(np.asarray(condition).ravel(), 0), minlength=asked["classes"])
    if 0 in counts:
        raise ValueError(
            f"fit: `condition` goes up to {len(counts) - 1}, and no point has {np.argmin(counts)}. "
            "Number classes from 0, np.unique(labels, return_inverse=True)[1], or say `classes` of the "
            "network, as in {'name': 'mlp', 'classes': 3}."
        )


def taught(ready: Ready, rows: PyTree) -> Ready:
    """The parts, of which the network knows the units of the points' conditions, and whether it learns
    to go without one."""
    dropout, network = ready.training.condition_dropout, ready.network
    conditions = conditions_of(network)
    if rows is None or conditions is None:
        return ready
    conditions = eqx.tree_at(lambda c: c.taught, conditions.fitted(rows), jnp.asarray(dropout > 0))
    return ready._replace(network=eqx.tree_at(lambda n: n.conditions, network, conditions))


def checked_conditions(
    ready: Ready, data: PyTree, held_out: PyTree, number: int, validated: int | None
) -> Given:
    """The conditions of `number` data points and so many validation points.

    **Raises:** `ValueError` for what doesn't fit the network, the points, the target or the coupling.
    """
    conditions = conditions_of(ready.network)
    check_told(ready, data is not None or (conditions is None and held_out is not None))
    if conditions is None:
        return Given()
    if (held_out is None) != (validated is None):
        missing = "validation_condition" if held_out is None else "validation"
        raise ValueError(
            f"fit: `{missing}` is missing: validation points and their conditions go together."
        )
    rows = _of_each(conditions, data, number, "condition")
    others = (
        None
        if validated is None
        else _of_each(conditions, held_out, validated, "validation_condition")
    )
    return Given(rows, others, _kinds(ready.coupling, rows, ready.training.batch_size))


def check_told(ready: Ready, told: bool) -> None:
    """Raise `ValueError` for what doesn't go with the conditions that points are `told` with, or with
    none."""
    conditions, dropout = conditions_of(ready.network), ready.training.condition_dropout
    name = type(ready.network).__name__
    if dropout and not told:
        raise ValueError(
            f"fit: `condition_dropout` is {dropout}, and there is nothing to drop: pass `condition`."
        )
    if conditions is None and told:
        raise ValueError(
            f"fit: `network` ({name}) takes no `condition`. Build it with `classes` or "
            "`condition_size`, or pass it by name; a network of your own needs a field `conditions`. Of "
            "samples that have conditions pass `samples.untold()`."
        )
    if conditions is None:
        return
    if not told:
        raise ValueError(
            f"fit: `network` ({name}) is one of conditions, and `condition` is missing: pass "
            f"{conditions.meaning} for every data point."
        )
    if not isinstance(ready.target, Plain):
        raise ValueError(
            f"fit: `target` ({type(ready.target).__name__}) takes noise out by what is known of all "
            "data, which aren't those of one condition: the flow would be biased. Use 'plain'."
        )
    if ready.training.finish is not None:
        raise ValueError(
            "fit: `finish` doesn't take flows of conditions. Leave it out, and train for more `steps`."
        )


def _of_each(conditions: Any, condition: PyTree, number: int, name: str) -> PyTree:
    for leaf in jax.tree.leaves(condition):
        if np.ndim(leaf) == 0 or np.shape(leaf)[0] != number:
            raise ValueError(
                f"fit: `{name}` must have one row for each of the {number:,} points, "
                f"{conditions.meaning} each; got shape {np.shape(leaf)}."
            )
    return rows_of(conditions, condition, number, f"fit: `{name}`")


def _kinds(coupling: AbstractCoupling, rows: PyTree, batch_size: int) -> Int[Array, " n"] | None:
    """Which points share a condition, where prior samples may be exchanged among such alone."""
    if not coupling.exchanges:
        return None
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(rows)]
    flat = np.concatenate(
        [leaf.reshape(len(leaf), -1).astype(np.float64) for leaf in leaves], axis=1
    )
    different, kinds = np.unique(flat, axis=0, return_inverse=True)
    check_exchange(coupling, len(different), batch_size)
    return jnp.asarray(kinds.reshape(-1), jnp.int32)


def check_exchange(coupling: AbstractCoupling, different: int, batch_size: int) -> None:
    r"""Raise `ValueError` for a coupling that would give points the prior samples of others under so
    many different conditions. If it gave a point that of one under another, it would make $p(x_0|c)$
    another law than the prior, where the flow's samples of every $c$ begin."""
    if not coupling.exchanges:
        return
    name = type(coupling).__name__
    if not isinstance(coupling, SupportsKinds):
        raise ValueError(
            f"fit: `coupling` ({name}) gives data points the prior samples of others, also of those "
            "under another `condition`, and the prior under a condition would no longer be the prior. "
            "Use 'minibatch-ot', which pairs within equal conditions, or 'independent'."
        )
    if different > max(1, batch_size // 2):
        raise ValueError(
            f"fit: `coupling` ({name}) pairs within equal conditions, or the prior under a condition "
            f"would no longer be the prior; `condition` has {different:,} different rows, and "
            f"batches of {batch_size} hardly two that are equal. Use 'independent'."
        )
