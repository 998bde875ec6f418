"""What the fields of this package's components share."""

from functools import partial
from typing import Any

import jax.numpy as jnp

as_array = partial(jnp.asarray, dtype=float)


def check_positive(owner: str, **values: Any) -> None:
    """Raise `ValueError` unless every value is positive and finite."""
    for name, value in values.items():
        if not (value > 0 and jnp.isfinite(value)):
            raise ValueError(f"{owner}: `{name}` must be positive and finite, got {value}.")


def as_flags(value: Any) -> tuple[bool, ...]:
    """One truth value per joint.

    **Raises:** `ValueError` for anything but a non-empty sequence.
    """
    if isinstance(value, str) or not hasattr(value, "__iter__") or not list(value):
        raise ValueError(
            f"`wraps` must be a sequence of true and false, one per joint, got {value!r}. Write "
            "wraps=[true, true, false]."
        )
    return tuple(bool(flag) for flag in value)
