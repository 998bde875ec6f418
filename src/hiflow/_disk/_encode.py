"""Modules, containers, numbers, strings and arrays as plain values and named arrays of NumPy."""

import dataclasses
import importlib
import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

# Types that NumPy's files don't know are written as integers of their size.
FOREIGN_TYPES = {
    name: np.dtype(f"u{jnp.dtype(name).itemsize}")
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")
}


def encoded(tree: object) -> tuple[Any, dict[str, np.ndarray]]:
    """A tree as plain values that JSON knows, and its arrays by name.

    **Raises:** `TypeError` for what can't be stored, `ValueError` for NaN in an array.
    """
    arrays: dict[str, np.ndarray] = {}
    return _encode(tree, arrays, "root"), arrays


def _encode(value: object, arrays: dict[str, np.ndarray], where: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, jax.Array | np.ndarray):
        return _encode_array(value, arrays, where)
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        items = [_encode(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]
        return {type(value).__name__: items}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {k: _encode(item, arrays, f"{where}[{k!r}]") for k, item in value.items()}}
    if isinstance(value, eqx.Module) and type(value).__qualname__.isidentifier():
        fields = {
            field.name: _encode(getattr(value, field.name), arrays, f"{where}.{field.name}")
            for field in dataclasses.fields(value)
            if hasattr(value, field.name)
        }
        return {"module": _importable(type(value), where), "fields": fields}
    return {"object": _importable(value, where)}


def _encode_array(value: Any, arrays: dict[str, np.ndarray], where: str) -> dict[str, Any]:
    code: dict[str, Any] = {"array": f"array{len(arrays)}", "numpy": isinstance(value, np.ndarray)}
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key) or value.dtype.hasobject:
        raise TypeError(f"{where}: arrays of {value.dtype} can't be stored, only those of numbers.")
    array = np.asarray(value)
    refuse_nan(array, where)
    if str(array.dtype) in FOREIGN_TYPES:
        code["dtype"] = str(array.dtype)
        array = array.view(FOREIGN_TYPES[code["dtype"]])
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{where}: arrays of {array.dtype} can't be stored, only those of numbers.")
    arrays[code["array"]] = array
    return code


def _importable(value: object, where: str) -> str:
    name = getattr(value, "__qualname__", "")
    home = getattr(value, "__module__", None) or ""
    # The public place first: files outlive the private ones.
    public = ".".join(itertools.takewhile(lambda part: part[0] != "_", home.split(".")[:-1]))
    for module in ("jax.nn", "jax.numpy", "jax.lax", public, home):
        if module and getattr(importlib.import_module(module), name or " ", None) is value:
            if module == "__main__":
                break
            return f"{module}:{name}"
    raise TypeError(
        f"{where} = {value!r} can't be stored: only classes and functions that can be imported by name "
        "can. Move it from a script, notebook or lambda into a module."
    )


def refuse_nan(array: np.ndarray, where: str) -> None:
    """Raise `ValueError` for NaN, with which no component computes anything."""
    if jnp.issubdtype(array.dtype, jnp.inexact) and np.isnan(array).any():
        raise ValueError(f"{where} holds NaN, which no component may.")
