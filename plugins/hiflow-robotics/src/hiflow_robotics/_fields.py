"""What the fields of this package's components share."""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

as_array = partial(jnp.asarray, dtype=float)


def check_positive(owner: str, **values: Any) -> None:
    """Raise `ValueError` unless every value is positive and finite."""
    for name, value in values.items():
        if not (value > 0 and jnp.isfinite(value)):
            raise ValueError(f"{owner}: `{name}` must be positive and finite, got {value}.")


def is_known(*values: Any) -> bool:
    """Whether the values are known now, and not only when a traced program runs."""
    return not any(isinstance(value, Tracer) for value in values)


def check_finite(owner: str, **values: Any) -> None:
    """Raise `ValueError` for NaN or infinity in an array that is known now; `None` passes."""
    for name, value in values.items():
        if value is not None and is_known(value) and not np.isfinite(value).all():
            raise ValueError(f"{owner}: `{name}` must be finite, got {np.asarray(value).tolist()}.")


def as_flags(value: Any) -> tuple[bool, ...]:
    """One truth value per joint.

    **Raises:** `ValueError` for anything but a non-empty sequence.
    """
    if isinstance(value, str) or not hasattr(value, "__iter__") or not list(value):
        raise ValueError(
            f"`wraps` must be a sequence of true and false, one per joint, got {value!r}. Write "
            "wraps=[true, true, false]."
        )
    flags = np.asarray(list(value), object)
    if not all(isinstance(flag, bool | int | np.bool_) and flag in (0, 1) for flag in flags):
        raise ValueError(f"`wraps` must be true or false for every joint, got {flags.tolist()}.")
    return tuple(bool(flag) for flag in flags)
