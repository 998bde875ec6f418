"""Converters and checks for the fields of components: every error names the argument and the cure."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from hiflow._kinds import LARGEST_WHOLE, accepted
from hiflow._kinds import Refused as Refused
from hiflow._words import nearest as nearest

T = TypeVar("T")


def as_array(value: object) -> Float[Array, "..."]:
    """To a JAX array of the default float type (a NumPy array in a field would be a trainable leaf
    of unclear type, a Python float would be static and retrace)."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating):
        return value
    words = "must be a number or an array of real numbers"
    if _is_complex(value) or _is_masked(value):
        raise Refused(words)
    try:
        return jnp.asarray(value, dtype=jnp.result_type(float))
    except (TypeError, ValueError):
        raise Refused(words) from None


def native(array: np.ndarray) -> np.ndarray:
    """Numbers of a file from another machine, or longer than double, as this one and JAX have them."""
    if array.dtype.kind not in "iuf":
        return array
    dtype = np.dtype(float) if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    return array.astype(dtype, copy=False)


def refuse_masked(value: object, what: str) -> None:
    """Raise `ValueError` for an array with masked entries, whose numbers mean nothing."""
    if _is_masked(value):
        raise ValueError(f"{what} has masked entries. Leave these rows out, or fill them.")


def _is_masked(value: object) -> bool:
    return isinstance(value, np.ma.MaskedArray) and bool(np.ma.getmaskarray(value).any())


def as_scalar(value: object) -> Float[Array, ""]:
    """Like `as_array`, for numbers."""
    try:
        array = as_array(value)
    except Refused:
        raise Refused("must be a number") from None
    if array.shape != () or isinstance(value, bool):
        raise Refused("must be a number")
    return array


def _is_complex(value: object) -> bool:
    """Whether there are imaginary parts to lose."""
    try:
        return np.iscomplexobj(cast(Any, value))
    except (TypeError, ValueError):  # A list of traced numbers, or no array at all.
        return False


def as_shape(value: int | Iterable[int]) -> tuple[int, ...]:
    """To an event shape: an integer or a sequence of positive integers."""
    shape = tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(size, int | np.integer) and size > 0 for size in shape):
        raise ValueError(
            f"`shape` must be an event shape of positive integers, got {value!r}. Give the shape of one "
            "event, without the batch."
        )
    return tuple(map(int, shape))


def is_concrete(*values: object) -> bool:
    """Whether the values are known now, not only when the traced program runs."""
    return not any(isinstance(value, Tracer) for value in values)


def _concrete(value: object) -> np.ndarray | None:
    return np.asarray(value) if is_concrete(value) else None


def check_positive(component: eqx.Module, *names: str) -> None:
    """Raise `ValueError` unless the named fields are finite and above 0."""
    for name in names:
        value = _concrete(getattr(component, name))
        if value is not None and not (np.isfinite(value) & (value > 0)).all():
            raise ValueError(
                f"{type(component).__name__}: `{name}` must be positive and finite, got {value}."
            )


def check_at_least(component: eqx.Module, name: str, least: float) -> None:
    """Raise `ValueError` unless the named field is finite and at least `least`."""
    value = _concrete(getattr(component, name))
    if value is not None and not (np.isfinite(value) & (value >= least)).all():
        raise ValueError(
            f"{type(component).__name__}: `{name}` must be at least {least}, got {value}."
        )


def check_below(component: eqx.Module, name: str, bound: float, *, or_equal: bool = False) -> None:
    """Raise `ValueError` unless the named field is below `bound`, or at most that if `or_equal`."""
    value = _concrete(getattr(component, name))
    if value is not None and not (value <= bound if or_equal else value < bound).all():
        words = "at most" if or_equal else "below"
        raise ValueError(
            f"{type(component).__name__}: `{name}` must be {words} {bound}, got {value}."
        )


def check_finite(component: eqx.Module, *names: str) -> None:
    """Raise `ValueError` if a named field holds NaN or infinity."""
    for name in names:
        value = _concrete(getattr(component, name))
        if value is not None and not np.isfinite(value).all():
            raise ValueError(f"{type(component).__name__}: `{name}` holds NaN or infinity.")


def refuse_not_finite(points: Array | np.ndarray, subject: str, *, kind: str, cure: str) -> None:
    """Raise `ValueError` if a batch of points holds NaN or infinity, with the first such point."""
    finite = np.isfinite(np.asarray(points)).reshape(len(points), -1).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"{subject} holds NaN or infinity in {int((~finite).sum())} of {finite.size} {kind}, first "
            f"at index {int(np.argmin(finite))}. {cure}"
        )


def check_event(
    x: ArrayLike, event_shape: tuple[int, ...], *, argument: str = "x", owner: str
) -> None:
    """Raise `ValueError` unless `x` has exactly the event shape."""
    if jnp.shape(x) != tuple(event_shape):
        raise ValueError(
            f"{owner}: `{argument}` must have the event shape {tuple(event_shape)}, got "
            f"{jnp.shape(x)}. Components act on single samples: use jax.vmap for a batch."
        )


def check_scalar(function: Callable[..., Any], event: jax.ShapeDtypeStruct, what: str) -> None:
    """Raise `ValueError`, beginning with `what`, unless a function maps an event to a float scalar."""
    value = eqx.filter_eval_shape(function, event)
    if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            f"{what} must map an event of shape {event.shape} to a float scalar, got {value}. Sum over "
            "the event's axes; the batch is added by jax.vmap."
        )


def whole(least: int) -> Callable[[object], int]:
    """A check that a setting is an integer, not a truth value, at least `least`, and not longer than
    those that JAX counts with."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
            raise Refused(f"must be at least {least} and whole")
        if int(value) > LARGEST_WHOLE:
            raise Refused(f"must be at most {LARGEST_WHOLE} and whole")
        return int(value)

    return check


def number(words: str, allowed: Callable[[float], bool]) -> Callable[[object], float]:
    """A check that a setting is a finite number, not a truth value, and `allowed`."""

    def check(value: object) -> float:
        array = np.asarray(value)
        if array.ndim > 0 or not np.issubdtype(array.dtype, np.number):
            raise Refused(f"must be {words}")
        found = float(array)
        if not math.isfinite(found) or not allowed(found):
            raise Refused(f"must be {words}")
        return found

    return check


def flag(value: object) -> bool:
    """A check that a setting is a truth value."""
    if not isinstance(value, bool):
        raise Refused("must be true or false")
    return value


def one_of(*known: str) -> Callable[[object], str]:
    """A check that a setting is one of a few words."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise Refused(f"must be one of {', '.join(known)}")
        return value

    return check


def converter(name: str, check: Callable[[object], T]) -> Callable[[object], T]:
    """A field's converter that refuses by name what its check refuses."""

    def convert(value: object) -> T:
        return accepted(check, value, f"`{name}`")

    return convert


def setting(check: Callable[[object], object], default: object, **metadata: object) -> Any:
    """A field of a frozen dataclass of settings, which `check_settings` checks."""
    return dataclasses.field(default=default, metadata={"check": check, **metadata})


def check_settings(settings: Any) -> None:
    """Put every field through its check, which may convert it.

    **Raises:** `ValueError` with the field's name, what it must be and what it was.
    """
    for field in dataclasses.fields(settings):
        checked = converter(field.name, field.metadata["check"])(getattr(settings, field.name))
        object.__setattr__(settings, field.name, checked)
