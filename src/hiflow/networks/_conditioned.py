"""Networks of conditions: which are, what asks for one, and its features beside the time's."""

from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow.networks._conditions import CONDITION_FEATURES, AbstractConditions, Labels, Vector
from hiflow.networks._time import TIME_FEATURES, time_features


@runtime_checkable
class SupportsConditions(Protocol):
    """A field that can be told a condition: `(t, x, condition=None)`.

    **Example:**

    ```pycon
    >>> told = hf.networks.MLP(2, classes=3, key=key)
    >>> isinstance(told, hf.networks.SupportsConditions)
    True
    ```
    """

    @property
    def conditions(self) -> AbstractConditions | None:
        """How it hears of them; `None` if it was built without."""
        ...

    def __call__(
        self, t: Float[Array, ""], x: Float[Array, "*event"], condition: PyTree = None
    ) -> Float[Array, "*event"]:
        """The velocity at one time and event under a condition."""
        ...


def conditions_of(network: object) -> AbstractConditions | None:
    """How a network hears of conditions; `None` if it takes none.

    **Example:**

    ```pycon
    >>> network = hf.networks.MLP(2, classes=3, key=key)
    >>> hf.networks.conditions_of(network).meaning
    'a label from 0 to 2'
    >>> hf.networks.conditions_of(flow.network) is None
    True
    ```
    """
    found = getattr(network, "conditions", None)
    return found if isinstance(found, AbstractConditions) else None


def make_conditions(
    owner: str, classes: int | None, condition_size: int | None, key: PRNGKeyArray
) -> AbstractConditions | None:
    """What a network's arguments ask for. **Raises:** `ValueError` for both, or a size below 1."""
    if classes is not None and condition_size is not None:
        raise ValueError(f"{owner}: give `classes` or `condition_size`, not both.")
    for name, value in {"classes": classes, "condition_size": condition_size}.items():
        if value is not None and (isinstance(value, bool) or value < 1):
            raise ValueError(f"{owner}: `{name}` must be at least 1, got {value}.")
    # A key that nothing else of the network uses: without conditions its weights stay as they are.
    key = jax.random.fold_in(key, 7)
    if classes is not None:
        return Labels(classes, key=key)
    return None if condition_size is None else Vector(condition_size, key=key)


def arguments_of(conditions: AbstractConditions | None) -> dict[str, Any]:
    """The arguments that asked for them."""
    return {
        "classes": conditions.classes if isinstance(conditions, Labels) else None,
        "condition_size": conditions.size if isinstance(conditions, Vector) else None,
    }


def asked_of(condition: PyTree, classes: int | None = None) -> dict[str, Any]:
    """The arguments by which a network that is only named takes such conditions, of many points; of
    labels, how many `classes` there are may be known.

    **Example:**

    ```pycon
    >>> hf.networks.asked_of(jnp.array([0, 2, 1, 2]))  # what `fit` builds "mlp" with
    {'classes': 3}
    ```
    """
    if classes is not None:
        return {"classes": classes}
    if not hasattr(condition, "dtype") or condition.size == 0:
        return {}
    if jnp.issubdtype(condition.dtype, jnp.integer):
        return {"classes": max(1, int(condition.max()) + 1)}
    return {"condition_size": 1 if condition.ndim < 2 else condition.shape[1]}


def clock_size(conditions: AbstractConditions | None) -> int:
    """How many features `clock` gives."""
    return TIME_FEATURES + (0 if conditions is None else CONDITION_FEATURES)


def clock(
    t: Float[Array, ""], conditions: AbstractConditions | None, condition: PyTree
) -> Float[Array, " features"]:
    """The features of the time, and of the condition behind them."""
    if conditions is None:
        if condition is not None:
            raise ValueError(
                "the network takes no `condition`: build it with `classes` or `condition_size`."
            )
        return time_features(t)
    return jnp.concatenate([time_features(t), conditions(condition).astype(t.dtype)])


def rows_of(conditions: AbstractConditions, condition: PyTree, size: int, what: str) -> PyTree:
    """A condition for each of `size` samples, as `conditions` say. Whole numbers are widened: in eight
    bits, or without a sign, there may be no room for -1, which stands for one that is dropped.

    **Raises:** as `conditions.rows` does.
    """
    return jax.tree.map(_widened, conditions.rows(condition, size, what))


def _widened(leaf: Array) -> Array:
    if not jnp.issubdtype(leaf.dtype, jnp.integer):
        return leaf
    return leaf.astype(jnp.promote_types(leaf.dtype, jnp.int32))
