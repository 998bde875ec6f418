"""What a check found: the largest violation of every law, and the message for the broken ones."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray


class Report:
    """Collects violations; `finish` raises if a law is broken and else returns them.

    **Arguments:**

    - `check`: name of the function that reports.
    - `component`: what was checked.
    - `key`: the key that the random inputs came from, for the message.
    - `others`: what else took part.

    `rounding` is the relative tolerance of identities: a thousand roundings of the coarsest float
    type among the arrays that took part and the type in force.
    """

    rounding: float

    def __init__(self, check: str, component: Any, key: PRNGKeyArray | None = None, *others: Any):
        self.rounding = max(map(rounding, {jnp.result_type(float), *_dtypes((component, others))}))
        self._title = f"{check}({type(component).__name__})"
        self._origin = (
            "" if key is None else f", inputs from key {jax.random.key_data(key).tolist()}"
        )
        self._violations: dict[str, float] = {}
        self._broken: list[str] = []

    def law(
        self, name: str, meaning: str, violation: Any, tolerance: Any, *axes: str, **labels: Any
    ) -> None:
        """Record a law.

        **Arguments:**

        - `name`, `meaning`: the law, in a word and in a sentence.
        - `violation`, `tolerance`: arrays that broadcast; NaN is a violation.
        - `axes`: a name per axis of `violation`, such as `"point"`.
        - `labels`: for an axis, the values to print instead of the index.
        """
        violation = np.asarray(violation, np.float64)
        violation = np.where(np.isnan(violation), np.inf, violation)
        tolerance = np.broadcast_to(np.asarray(tolerance, np.float64), violation.shape)
        self._violations[name] = float(violation.max(initial=0.0))
        excess = np.where(violation <= tolerance, -np.inf, violation - np.nan_to_num(tolerance))
        if violation.size == 0 or not (excess > -np.inf).any():
            return
        index = np.unravel_index(np.argmax(excess), violation.shape)
        where = ", ".join(
            f"{axis} {labels[axis][i] if axis in labels else i}"
            for axis, i in zip(axes, index, strict=False)
        )
        self._broken.append(
            f"  {name}: {meaning}. Violation {violation[index]:.3g} exceeds the tolerance "
            f"{tolerance[index]:.3g}{' at ' + where if where else ''}."
        )

    def finish(self) -> dict[str, float]:
        """The largest violation of every law. **Raises:** `AssertionError` if one is broken."""
        if self._broken:
            laws = "a law is" if len(self._broken) == 1 else f"{len(self._broken)} laws are"
            raise AssertionError(
                "\n".join([f"{self._title}: {laws} broken{self._origin}.", *self._broken])
            )
        return self._violations


def seed(key: PRNGKeyArray | None) -> PRNGKeyArray:
    """The key, or the one that checks use by default."""
    return jax.random.key(0) if key is None else key


def _dtypes(tree: Any) -> list[Any]:
    return [leaf.dtype for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]


def rounding(dtype: Any = float) -> float:
    """A thousand roundings of a float type, by default the one in force."""
    return 1e3 * float(jnp.finfo(jnp.result_type(dtype)).eps)


def largest(x: Any) -> Array:
    """The largest absolute entry."""
    return jnp.max(jnp.abs(x), initial=0.0)
