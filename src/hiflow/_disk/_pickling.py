"""JAX's own functions in pickles, by name: their compiled wrappers refuse, and with them every network
that holds an activation. A flow then crosses into a spawned process."""

import copyreg
import types
from typing import Any

from hiflow._disk._names import named_function, public_functions


def let_functions_be_pickled() -> None:
    """Let `pickle` and `copy` store the functions that files may name by those names."""
    kinds = {type(function) for _, function in public_functions()}
    for kind in kinds - {types.FunctionType, type}:
        if not isinstance(kind, type(type)) or issubclass(kind, type):
            continue
        copyreg.pickle(kind, _reduced)


def _reduced(function: Any) -> Any:
    for name, public in public_functions():
        if public is function:
            return named_function, (name,)
    return function.__reduce__()
