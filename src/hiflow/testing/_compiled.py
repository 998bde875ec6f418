"""Compilation for checks: each runs once, so compiling fast matters and running fast doesn't."""

from collections.abc import Callable
from typing import TypeVar

import equinox as eqx

F = TypeVar("F", bound=Callable[..., object])
_OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def compiled(function: F) -> F:
    """`equinox.filter_jit` with the compiler's optimisation turned down."""
    return eqx.filter_jit(compiler_options=_OPTIONS)(function)  # pyright: ignore[reportCallIssue]
