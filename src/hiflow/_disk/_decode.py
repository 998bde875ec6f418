"""Plain values and arrays from a file made into the tree that they describe, and nothing else."""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from hiflow._disk._encode import FOREIGN_TYPES, refuse_nan
from hiflow._disk._fields import check_module, vouches
from hiflow._disk._names import named_class, named_function

_MOST_DEPTH = 64
_MOST_COORDINATES = 2**26
_KINDS = (
    *({"array", "numpy"}, {"array", "numpy", "dtype"}, {"list"}, {"tuple"}, {"dict"}, {"float"}),
    *({"object"}, {"module", "fields"}),
)


def decoded(root: Any, arrays: dict[str, np.ndarray], trust: Sequence[str]) -> Any:
    """The tree that [`encoded`][hiflow._disk.encoded] made of; `arrays` is empty afterwards.

    **Raises:** `ValueError` for what it can't have made; `ImportError`.
    """
    decoding = _Decoding(arrays, trust)
    tree = decoding.value(root, "root", 0)
    if arrays:
        raise ValueError(f"nothing refers to the arrays {', '.join(sorted(arrays))[:200]}")
    if decoding.rounded:
        warnings.warn(
            "the file holds numbers in double precision, and JAX works in single: they are rounded. Set "
            "jax.config.update('jax_enable_x64', True) first to keep them.",
            stacklevel=4,
        )
    return tree


class _Located(ValueError):  # noqa: N818  an error whose message says where in the tree it is
    pass


class _Decoding:
    def __init__(self, arrays: dict[str, np.ndarray], trust: Sequence[str]):
        self.arrays, self.trust = arrays, trust
        self.rounded = False
        self.alone = True

    def value(self, code: Any, where: str, depth: int) -> Any:
        try:
            return self._value(code, where, depth)
        except (_Located, ImportError):
            raise
        except Exception as error:  # Whatever a class's own checks say of its fields.
            raise _Located(f"{where}: {error}") from error

    def _value(self, code: Any, where: str, depth: int) -> Any:
        if isinstance(code, int) and abs(code) >= 2**63:
            raise ValueError("an integer of more than 64 bits.")
        if code is None or isinstance(code, bool | int | float | str):
            return code
        if not isinstance(code, dict) or set(code) not in _KINDS or depth > _MOST_DEPTH:
            raise ValueError("no value that hiflow writes, or nested too deep.")
        match code:
            case {"array": str(name), "numpy": bool(numpy)}:
                return self._array(name, code.get("dtype"), numpy, where)
            case {"list": list(items)}:
                return self._items(items, where, depth)
            case {"tuple": list(items)}:
                return _bounded(tuple(self._items(items, where, depth)))
            case {"dict": dict(items)}:
                return {k: self.value(v, f"{where}[{k!r}]", depth + 1) for k, v in items.items()}
            case {"float": "inf" | "-inf" | "nan" as number}:
                return float(number)
            case {"object": str(name)}:
                return named_function(name, self.trust)
            case {"module": str(name), "fields": dict(fields)}:
                return self._module(named_class(name, self.trust), fields, where, depth)
            case _:
                raise ValueError("no value that hiflow writes.")

    def _items(self, items: list[Any], where: str, depth: int) -> list[Any]:
        return [self.value(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(items)]

    def _array(self, name: str, dtype: object, numpy: bool, where: str) -> Any:
        if name not in self.arrays:
            raise ValueError(f"its array {name[:100]!r} is missing, or used twice.")
        array = self.arrays.pop(name)
        if dtype is not None:
            if dtype not in FOREIGN_TYPES or array.dtype != FOREIGN_TYPES[str(dtype)]:
                raise ValueError(f"an array of {array.dtype} can't hold {dtype!r}.")
            array = array.view(jnp.dtype(str(dtype)))
        elif array.dtype.kind not in "biufc" or not array.dtype.isnative:
            raise ValueError(f"arrays hold numbers, not {array.dtype}.")
        refuse_nan(array, where)
        return array if numpy else self._on_device(array)

    def _on_device(self, array: np.ndarray) -> Any:
        placed = jnp.asarray(array)
        if placed.dtype != array.dtype:
            self.rounded = self.rounded or jnp.issubdtype(array.dtype, jnp.inexact)
            if not np.allclose(np.asarray(placed), array, rtol=1e-6, atol=1e-37):
                raise ValueError(f"its numbers of {array.dtype} don't fit into {placed.dtype}.")
        return placed

    def _module(
        self, cls: type[eqx.Module], fields: dict[str, Any], where: str, depth: int
    ) -> eqx.Module:
        names = [field.name for field in dataclasses.fields(cls)]
        if set(fields) != set(names):
            missing, unknown = set(names) - set(fields), set(fields) - set(names)
            raise ValueError(
                f"{cls.__name__} has the fields {', '.join(names) or 'none'}; the file lacks "
                f"{', '.join(sorted(missing)) or 'none'} and has beyond them "
                f"{', '.join(sorted(unknown))[:200] or 'none'}."
            )
        alone, self.alone = self.alone, self.alone and not vouches(cls)
        # Not through __init__: the fields are already what it made of its arguments.
        module = object.__new__(cls)
        for name in names:
            value = self.value(fields[name], f"{where}.{name}", depth + 1)
            object.__setattr__(module, name, value)
        self.alone = alone
        check_module(module, alone=alone)
        return module


def _bounded(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """A tuple that, if it is the shape of an event, is that of one which fits into memory."""
    sizes = [size for size in shape if isinstance(size, int) and size > 0]
    if sizes and math.prod(sizes) > _MOST_COORDINATES and len(sizes) == len(shape):
        raise ValueError(f"{shape} is no shape of an event.")
    return shape
