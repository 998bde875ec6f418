"""Components as a shell shows them, and in a line, for the `repr`s of what is made of them."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from hiflow._kinds import Refused, accepted, wanted

_LONGEST = 100
# So many numbers are shown, of more the shape.
_FEW = 6


class Component(eqx.Module):
    """An Equinox module that a shell shows by what it was made with: numbers and short arrays as they
    are, long ones by their shapes; and whose fields' converters refuse by the field's name."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        for name, field in vars(cls).items():
            if isinstance(field, dataclasses.Field):
                convert = field.metadata.get("converter")
                if convert is None and field.metadata.get("static", False):
                    convert = _annotated(cls.__annotations__[name])
                if convert is not None:
                    convert = _by_name(convert, f"{cls.__name__}: `{name}`")
                    field.metadata = MappingProxyType({**field.metadata, "converter": convert})

    def __repr__(self) -> str:
        try:
            return _laid_out(self)
        except Exception:  # Half-built, or with something else in the place of its arrays.
            return super().__repr__()


def _by_name(converter: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    """A field's converter, with the field's name in what it refuses."""

    @functools.wraps(converter)
    def convert(value: Any) -> Any:
        return accepted(converter, value, name)

    return convert


def _annotated(annotation: object) -> Callable[[Any], Any]:
    """A static field's converter: whole numbers of NumPy's, which Equinox takes for arrays, become
    Python's, and where one is meant nothing else will do."""

    def convert(value: Any) -> Any:
        if annotation is int and wanted(int, value) is not None:
            raise Refused(f"must be {wanted(int, value)}")
        return int(value) if isinstance(value, np.integer) else value

    # Equinox takes the argument's annotation from here.
    parameter = inspect.Parameter("value", inspect.Parameter.POSITIONAL_ONLY, annotation=annotation)
    setattr(convert, "__signature__", inspect.Signature([parameter]))  # noqa: B010
    return convert


def parts_in_lines(component: Any) -> list[str]:
    """A line for each of its fields."""
    parts = {field.name: getattr(component, field.name) for field in dataclasses.fields(component)}
    return [f"  {name:8} {in_a_line(part)}" for name, part in parts.items() if part is not None]


def in_a_line(component: object) -> str:
    """Its class with what it was made with, numbers as they are and arrays by their shapes; of much only
    the class and how many numbers it holds."""
    if not _is_component(component):
        return _value(component)
    line = ", ".join(f"{name}={in_a_line(value)}" for name, value in _said(component).items())
    name = type(component).__name__
    if len(line) <= _LONGEST and "\n" not in line:
        return f"{name}({line})"
    return f"{name}({numbers_in(component):,} numbers)"


def _laid_out(component: object, indent: str = "") -> str:
    """Its class with what it was made with, in a line if it fits, else an argument on each."""
    if isinstance(component, tuple | list) and any(map(_is_component, component)):
        start, end = "[", "]"
        parts = [_laid_out(each, indent + "  ") for each in component]
    elif _is_component(component):
        start, end = f"{type(component).__name__}(", ")"
        said = _said(component).items()
        parts = [f"{key}={_laid_out(value, indent + '  ')}" for key, value in said]
    else:
        return _value(component)
    line = ", ".join(parts)
    if len(indent) + len(start) + len(line) < _LONGEST and "\n" not in line:
        return f"{start}{line}{end}"
    within = "".join(f"{indent}  {part},\n" for part in parts)
    return f"{start}\n{within}{indent}{end}"


def _is_component(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _said(component: Any) -> dict[str, Any]:
    """What is said of it: not what was left out."""
    return {
        name: value
        for name, value in _arguments(component).items()
        if not (value is None or (isinstance(value, tuple) and not value))
    }


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
        known = isinstance(value, jax.Array | np.ndarray) and not isinstance(value, Tracer)
        if known and value.size <= _FEW and _is_plain(value.dtype):
            return _numbers(value.tolist())
        return f"{value.dtype}{list(value.shape)}"
    if callable(value) and hasattr(value, "__name__"):
        return str(getattr(value, "__name__"))  # noqa: B009
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {in_a_line(each)}' for key, each in value.items())}}}"
    if isinstance(value, tuple | list) and not all(isinstance(each, int | float) for each in value):
        return f"[{', '.join(in_a_line(each) for each in value)}]"
    return repr(value)


def _numbers(values: Any) -> str:
    """Numbers in brackets, each as short as it is told."""
    if isinstance(values, list):
        return f"[{', '.join(_numbers(each) for each in values)}]"
    return f"{values:.4g}" if isinstance(values, float) else str(values)


def _is_plain(dtype: Any) -> bool:
    return any(jax.numpy.issubdtype(dtype, kind) for kind in (np.number, np.bool_))


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)
