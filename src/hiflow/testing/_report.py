"""What a check found: the largest violation of every law, and the message for the broken ones."""

import dataclasses
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, PRNGKeyArray, PyTree


@dataclasses.dataclass(frozen=True)
class Law:
    """One law as it was found: its name and meaning, the largest violation, the tolerance there, over
    how many inputs, and, if it is broken, where.

    **Example:**

    ```pycon
    >>> law = hf.testing.check_time_transform(hf.times.LogTime()).laws[0]
    >>> law.name, law.inputs > 0, law.broken_at
    ('start', True, None)
    ```
    """

    name: str
    meaning: str
    violation: float
    tolerance: float
    inputs: int
    broken_at: str | None = None


class Findings(dict[str, float]):
    """The largest violation of every law, by the law's name; `laws` tells the rest of each.

    **Arguments:**

    - `check`, `component`: the function's name, and the component's class as `module.Class`.
    - `rounding`: the relative tolerance of identities.
    - `laws`: what was found.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_spectral_map(hf.spectral.Power())
    >>> found.check, found.component
    ('check_spectral_map', 'hiflow.spectral._pointwise.Power')
    >>> worst = max(found.laws, key=lambda law: law.violation)  # print(found) lists all
    >>> worst.violation <= worst.tolerance
    True
    ```
    """

    def __init__(self, check: str, component: str, rounding: float, laws: Sequence[Law]):
        super().__init__({law.name: law.violation for law in laws})
        self.check = check
        self.component = component
        self.rounding = rounding
        self.laws = tuple(laws)


class BrokenLawsError(AssertionError):
    """A component breaks laws of its family. The message names them; `findings` holds all laws.

    **Example:**

    ```pycon
    >>> class Wrong(hf.spectral.AbstractSpectralMap):
    ...     @property
    ...     def lower_bound(self):
    ...         return jnp.asarray(1.0)
    ...     def __call__(self, eigenvalues):
    ...         return eigenvalues  # not positive
    ...
    >>> try:
    ...     hf.testing.check_spectral_map(Wrong())
    ... except hf.testing.BrokenLawsError as error:
    ...     print([law.name for law in error.findings.laws if law.broken_at])
    ['positive', 'bound']
    ```
    """

    def __init__(self, message: str, findings: Findings):
        super().__init__(message)
        self.findings = findings


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

    def __init__(
        self, check: str, component: object, key: PRNGKeyArray | None = None, *others: object
    ):
        self.rounding = max(map(rounding, {jnp.result_type(float), *_dtypes((component, others))}))
        self._title = f"{check}({type(component).__name__})"
        self._origin = (
            "" if key is None else f", inputs from key {jax.random.key_data(key).tolist()}"
        )
        self._check = check
        self._component = f"{type(component).__module__}.{type(component).__qualname__}"
        self._laws: list[Law] = []

    def law(
        self,
        name: str,
        meaning: str,
        violation: ArrayLike,
        tolerance: ArrayLike,
        *axes: str,
        **labels: Sequence[object] | Array,
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
        excess = np.where(violation <= tolerance, -np.inf, violation - np.nan_to_num(tolerance))
        if violation.size == 0:
            return
        broken = bool((excess > -np.inf).any())
        worst = np.argmax(excess if broken else violation)
        index = np.unravel_index(worst, violation.shape)
        where = ", ".join(
            f"{axis} {labels[axis][int(i)] if axis in labels else i}"
            for axis, i in zip(axes, index, strict=False)
        )
        found, allowed = float(violation[index]), float(tolerance[index])
        at = where if broken else None
        self._laws.append(Law(name, meaning, found, allowed, violation.size, at))

    def finish(self) -> Findings:
        """The largest violation of every law. **Raises:** `BrokenLawsError` if one is broken."""
        findings = Findings(self._check, self._component, self.rounding, self._laws)
        broken = [
            f"  {law.name}: {law.meaning}. Violation {law.violation:.3g} exceeds the tolerance "
            f"{law.tolerance:.3g}{' at ' + law.broken_at if law.broken_at else ''}."
            for law in self._laws
            if law.broken_at is not None
        ]
        if broken:
            laws = "a law is" if len(broken) == 1 else f"{len(broken)} laws are"
            message = "\n".join([f"{self._title}: {laws} broken{self._origin}.", *broken])
            raise BrokenLawsError(message, findings)
        return findings


def seed(key: PRNGKeyArray | None) -> PRNGKeyArray:
    """The key, or the one that checks use by default."""
    return jax.random.key(0) if key is None else key


def _dtypes(tree: PyTree) -> list[np.dtype]:
    return [leaf.dtype for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]


def rounding(dtype: DTypeLike = float) -> float:
    """A thousand roundings of a float type, by default the one in force."""
    return 1e3 * float(jnp.finfo(jnp.result_type(dtype)).eps)


def largest(x: ArrayLike) -> Array:
    """The largest absolute entry."""
    return jnp.max(jnp.abs(x), initial=0.0)
