"""Conditions, what a network is told beside time and event: a label or a vector, as features."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from hiflow._checks import check_finite, check_positive, is_concrete
from hiflow._summaries import Component

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
