"""The conditions of a run: what may go with them, and whom couplings may pair with whom."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from hiflow.couplings import AbstractCoupling, SupportsKinds
from hiflow.networks import conditions_of
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


def taught(ready: Ready, condition: PyTree) -> Ready:
    """The parts, of which the network knows whether it learns to go without a condition."""
    dropout, network = ready.training.condition_dropout, ready.network
    if condition is None and dropout:
        raise ValueError(
            f"fit: `condition_dropout` is {dropout}, and there is nothing to drop: pass `condition`."
        )
    if condition is None or conditions_of(network) is None:
        return ready
    mark = jnp.asarray(dropout > 0)
    return ready._replace(network=eqx.tree_at(lambda n: n.conditions.taught, network, mark))


def checked_conditions(
    ready: Ready, data: PyTree, held_out: PyTree, number: int, validated: int | None
) -> Given:
    """The conditions of `number` data points and so many validation points.

    **Raises:** `ValueError` for what doesn't fit the network, the points, the target or the coupling.
    """
    conditions = conditions_of(ready.network)
    name = type(ready.network).__name__
    if conditions is None:
        if data is None and held_out is None:
            return Given()
        raise ValueError(
            f"fit: `network` ({name}) takes no `condition`. Build it with `classes` or "
            "`condition_size`, or pass it by name; a network of your own needs a field `conditions`."
        )
    if data is None:
        raise ValueError(
            f"fit: `network` ({name}) is one of conditions, and `condition` is missing: pass "
            f"{conditions.meaning} for every data point."
        )
    if (held_out is None) != (validated is None):
        missing = "validation_condition" if held_out is None else "validation"
        raise ValueError(
            f"fit: `{missing}` is missing: validation points and their conditions go together."
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
    rows = _of_each(conditions, data, number, "condition")
    others = (
        None
        if validated is None
        else _of_each(conditions, held_out, validated, "validation_condition")
    )
    return Given(rows, others, _kinds(ready.coupling, rows, ready.training.batch_size))


def _of_each(conditions: Any, condition: PyTree, number: int, name: str) -> PyTree:
    for leaf in jax.tree.leaves(condition):
        if np.ndim(leaf) == 0 or np.shape(leaf)[0] != number:
            raise ValueError(
                f"fit: `{name}` must have one row for each of the {number:,} points, "
                f"{conditions.meaning} each; got shape {np.shape(leaf)}."
            )
    return conditions.rows(condition, number, f"fit: `{name}`")


def _kinds(coupling: AbstractCoupling, rows: PyTree, batch_size: int) -> Int[Array, " n"] | None:
    r"""Which points share a condition. A coupling that gives a point the prior sample of another would
    make $p(x_0|c)$ another law than the prior, where the flow's samples of every $c$ begin."""
    if not coupling.exchanges:
        return None
    name = type(coupling).__name__
    if not isinstance(coupling, SupportsKinds):
        raise ValueError(
            f"fit: `coupling` ({name}) gives data points the prior samples of others, also of those "
            "under another `condition`, and the prior under a condition would no longer be the prior. "
            "Use 'minibatch-ot', which pairs within equal conditions, or 'independent'."
        )
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(rows)]
    flat = np.concatenate(
        [leaf.reshape(len(leaf), -1).astype(np.float64) for leaf in leaves], axis=1
    )
    different, kinds = np.unique(flat, axis=0, return_inverse=True)
    if len(different) > max(1, batch_size // 2):
        raise ValueError(
            f"fit: `coupling` ({name}) pairs within equal conditions, or the prior under a condition "
            f"would no longer be the prior; `condition` has {len(different):,} different rows, and "
            f"batches of {batch_size} hardly two that are equal. Use 'independent'."
        )
    return jnp.asarray(kinds.reshape(-1), jnp.int32)
