"""What a network is told beside time and event: a label or a vector, as features like the time's."""

import abc
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from hiflow._checks import check_finite, check_positive, is_concrete
from hiflow._summaries import Component
from hiflow.networks._time import TIME_FEATURES, time_features

CONDITION_FEATURES = 16


class AbstractConditions(Component):
    """How a network hears of the condition of a sample, in a few features.

    A network that has some as its field `conditions` and takes `(t, x, condition=None)` is one of
    conditions: [`fit`][hiflow.fit] and a [`Flow`][hiflow.Flow] pass them on. Integers and floats may
    stand in a tree. Left out, a condition is `None`; dropped in a batch, integers are -1 and floats NaN.

    **Example:**

    ```pycon
    >>> import equinox as eqx
    >>> class Temperature(hf.networks.AbstractConditions):
    ...     taught: jax.Array = eqx.field(default_factory=lambda: jnp.asarray(False))
    ...     def __call__(self, condition):
    ...         return jnp.nan_to_num(jnp.stack([jnp.log(condition), 1 / condition]))
    ...     def rows(self, condition, size, what):
    ...         return jnp.broadcast_to(jnp.asarray(condition, float), (size,))
    ...     @property
    ...     def meaning(self):
    ...         return "a temperature"
    ...
    >>> Temperature()(jnp.asarray(2.0)).round(2)
    Array([0.69, 0.5 ], dtype=float32)
    ```
    """

    taught: eqx.AbstractVar[Bool[Array, ""]]
    """Whether training left some conditions out, so that `None` has a meaning."""

    @abc.abstractmethod
    def __call__(self, condition: PyTree) -> Float[Array, " features"]:
        """The features of one condition, or of `None`."""

    def fitted(self, rows: PyTree) -> "AbstractConditions":
        """The same for training on these conditions, of many points: of numbers, in their units."""
        return self

    @abc.abstractmethod
    def rows(self, condition: PyTree, size: int, what: str) -> PyTree:
        """A condition for each of `size` samples, from one for all or one for each.

        **Raises:** `ValueError` for anything else; `what` is its name there.
        """

    @property
    @abc.abstractmethod
    def meaning(self) -> str:
        """What a condition is, in a few words."""


class Labels(AbstractConditions):
    """A class by its number, from 0 to `classes` - 1, as a learned vector; another is for no class.

    **Example:**

    ```pycon
    >>> labels = hf.networks.Labels(classes=10, features=4, key=key)
    >>> labels(3).shape, labels.classes
    ((4,), 10)
    ```
    """

    table: Float[Array, "rows features"]
    taught: Bool[Array, ""]

    def __init__(self, classes: int, features: int = CONDITION_FEATURES, *, key: PRNGKeyArray):
        self.table = jax.random.normal(key, (classes + 1, features))
        self.taught = jnp.zeros((), bool)

    @property
    def classes(self) -> int:
        """Their number."""
        return self.table.shape[0] - 1

    @property
    def meaning(self) -> str:
        """What a condition is."""
        return f"a label from 0 to {self.classes - 1}"

    def __call__(self, condition: PyTree) -> Float[Array, " features"]:
        if condition is None:
            return self.table[self.classes]
        row = jnp.where(condition < 0, self.classes, condition)
        # Compiled code can't refuse a label that is none: what comes of it is NaN.
        row = jnp.where(condition >= self.classes, self.classes + 1, row)
        return self.table.at[row].get(mode="fill", fill_value=jnp.nan)

    def rows(self, condition: PyTree, size: int, what: str) -> PyTree:
        """A label for each of `size` samples."""
        label = _array(condition, what, self.meaning)
        if not jnp.issubdtype(label.dtype, jnp.integer):
            raise ValueError(f"{what} must be {self.meaning}, an integer; got {label.dtype}.")
        if is_concrete(label):
            low, high = int(jnp.min(label)), int(jnp.max(label))
            if low < 0 or high >= self.classes:
                raise ValueError(f"{what} must be {self.meaning}, got {low if low < 0 else high}.")
        # In eight bits, or without a sign, there may be no room for what stands for no class.
        label = label.astype(jnp.int32)
        return _spread(label, (), size, what, self.meaning)


class Vector(AbstractConditions):
    r"""`size` numbers $c$, as $W_2\,\mathrm{silu}(W_1 z + b_1) + b_2$ of $z = (c - m)/s$; a learned
    vector is for none.

    $m$ and $s$ are 0 and 1 until [`fit`][hiflow.fit] makes them the mean and the standard deviation of
    the data's conditions; then they stay, in another training too.

    **Example:**

    ```pycon
    >>> vector = hf.networks.Vector(size=2, features=4, key=key)
    >>> vector(jnp.array([0.5, 1.3])).shape
    (4,)
    ```
    """

    first: eqx.nn.Linear
    second: eqx.nn.Linear
    none: Float[Array, " features"]
    taught: Bool[Array, ""]
    shift: Float[Array, " size"]
    scale: Float[Array, " size"]

    def __init__(self, size: int, features: int = CONDITION_FEATURES, *, key: PRNGKeyArray):
        k_first, k_second, k_none = jax.random.split(key, 3)
        self.first = eqx.nn.Linear(size, 2 * features, key=k_first)
        self.second = eqx.nn.Linear(2 * features, features, key=k_second)
        self.none = jax.random.normal(k_none, (features,))
        self.taught = jnp.zeros((), bool)
        self.shift, self.scale = jnp.zeros(size), jnp.ones(size)

    def __check_init__(self):
        check_finite(self, "shift")
        check_positive(self, "scale")

    @property
    def size(self) -> int:
        """How many numbers."""
        return int(self.first.in_features)

    @property
    def meaning(self) -> str:
        """What a condition is."""
        return "a number" if self.size == 1 else f"a vector of {self.size} numbers"

    def __call__(self, condition: PyTree) -> Float[Array, " features"]:
        if condition is None:
            return self.none
        missing = jnp.isnan(condition).any()
        # Units aren't learned, whoever trains.
        m, s = jax.lax.stop_gradient((self.shift, self.scale))
        # A derivative of what isn't chosen must be finite too.
        z = ((jnp.where(missing, m, condition) - m) / s).astype(self.none.dtype)
        return jnp.where(missing, self.none, self.second(jax.nn.silu(self.first(z))))

    def fitted(self, rows: PyTree) -> "Vector":
        """In units of the rows' mean and standard deviation, unless it has units already. A number that
        is the same in all rows has its own size for a scale."""
        if bool((self.shift != 0).any() | (self.scale != 1).any()):
            return self
        c = np.asarray(rows, np.float64)
        m, s, size = c.mean(axis=0), c.std(axis=0), np.abs(c).max(axis=0)
        # Nothing near what single precision rounds to 0.
        s = np.where(s > np.maximum(1e-6 * size, 1e-30), s, np.where(size > 1e-30, size, 1.0))
        units = [jnp.asarray(each, self.shift.dtype) for each in (m, s)]
        return eqx.tree_at(lambda v: (v.shift, v.scale), self, units)

    def rows(self, condition: PyTree, size: int, what: str) -> PyTree:
        """A vector for each of `size` samples."""
        vector = _array(condition, what, self.meaning)
        if not jnp.issubdtype(vector.dtype, jnp.number):
            raise ValueError(f"{what} must be {self.meaning}, got {vector.dtype}.")
        vector = vector.astype(jnp.promote_types(vector.dtype, jnp.result_type(float)))
        if is_concrete(vector) and not bool(jnp.isfinite(vector).all()):
            raise ValueError(f"{what} holds NaN or infinity.")
        if self.size == 1 and vector.ndim < 2 and vector.shape != (1,):
            vector = vector[..., None]
        return _spread(vector, (self.size,), size, what, self.meaning)


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


def _array(condition: PyTree, what: str, meaning: str) -> Array:
    try:
        return condition if isinstance(condition, jax.Array) else jnp.asarray(np.asarray(condition))
    except (TypeError, ValueError):
        raise ValueError(
            f"{what} must be {meaning}, or one for each sample; got {type(condition).__name__}."
        ) from None


def _spread(value: Array, one: tuple[int, ...], size: int, what: str, meaning: str) -> Array:
    """One for all, or one for each."""
    if value.shape not in (one, (size, *one)):
        raise ValueError(
            f"{what} must be {meaning} or one for each of {size:,} samples, of shape {one} or "
            f"{(size, *one)}; got shape {value.shape}."
        )
    return jnp.broadcast_to(value, (size, *one))
