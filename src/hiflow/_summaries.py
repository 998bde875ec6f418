"""Components in a line, for the `repr`s of what is made of them."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

_LONGEST = 100


def parts_in_lines(component: Any) -> list[str]:
    """A line for each of its fields."""
    parts = {field.name: getattr(component, field.name) for field in dataclasses.fields(component)}
    return [f"  {name:8} {in_a_line(part)}" for name, part in parts.items() if part is not None]


def in_a_line(component: object) -> str:
    """Its class with what it was made with, numbers as they are and arrays by their shapes; of much only
    the class and how many numbers it holds."""
    if not dataclasses.is_dataclass(component) or isinstance(component, type):
        return _value(component)
    line = ", ".join(
        f"{name}={in_a_line(value)}"
        for name, value in _arguments(component).items()
        if not (value is None or (isinstance(value, tuple) and not value))
    )
    name = type(component).__name__
    if len(line) <= _LONGEST and "\n" not in line:
        return f"{name}({line})"
    return f"{name}({numbers_in(component):,} numbers)"


def _arguments(component: Any) -> dict[str, Any]:
    """What a component was made with, if it says so, else its fields."""
    if hasattr(component, "constructor_arguments"):
        return component.constructor_arguments()
    return {
        field.name: getattr(component, field.name, None) for field in dataclasses.fields(component)
    }


def numbers_in(tree: Any) -> int:
    """How many numbers of a float type its arrays hold: of a network, its parameters."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if _is_array(leaf)]
    floats = [leaf for leaf in arrays if jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating)]
    return sum(int(np.prod(leaf.shape)) for leaf in floats)


def _value(value: Any) -> str:
    if _is_array(value):
        known = value.shape == () and isinstance(value, jax.Array | np.ndarray)
        if known and not isinstance(value, Tracer) and np.issubdtype(value.dtype, np.number):
            return f"{value.item():.4g}"
        return f"{value.dtype}{list(value.shape)}"
    if callable(value) and hasattr(value, "__name__"):
        return str(getattr(value, "__name__"))  # noqa: B009
    if isinstance(value, tuple | list) and not all(isinstance(each, int | float) for each in value):
        return f"[{', '.join(in_a_line(each) for each in value)}]"
    return repr(value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)
