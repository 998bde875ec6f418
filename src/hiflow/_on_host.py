"""NumPy called back from compiled code.

`jax.pure_callback` hands its arguments over as arrays of JAX, which are copied in the same pool of
threads that runs the callback: on one core, or with as many callbacks as cores, large ones wait for each
other for ever. Here they are NumPy's views of what the caller holds, as for `jax.experimental.sparse`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jaxtyping import Array

Function = Callable[..., tuple[np.ndarray, ...]]
Shapes = tuple[jax.ShapeDtypeStruct, ...]


def on_host(function: Function, like: Shapes, *arguments: Array) -> tuple[Array, ...]:
    """Arrays `like` those, computed by `function` of NumPy arrays: under `vmap` once for the whole
    batch, with its axes in front, of length 1 in arguments that aren't batched.

    It must neither use JAX nor write into its arguments. Programs are compiled once for all functions
    that are equal, so it is to be hashable and no closure that is made anew for every call.
    """
    found = _called(*arguments, function=function, like=like)
    results = zip(found, like, strict=True)
    return tuple(jax.lax.bitcast_convert_type(result, one.dtype) for result, one in results)


@partial(jax.jit, static_argnames=("function", "like"))
def _called(*arguments: Array, function: Function, like: Shapes) -> list[Array]:
    narrow = tuple(jax.eval_shape(_narrowed, one) for one in like)
    words = _InWords(function, tuple(np.dtype(one.dtype) for one in like))
    return _call.bind(*arguments, function=words, like=narrow)


@dataclasses.dataclass(frozen=True)
class _InWords:
    """A function whose results are in words of 32 bits; equal for equal functions."""

    function: Function
    dtypes: tuple[np.dtype, ...]

    def __call__(self, *given: np.ndarray) -> tuple[np.ndarray, ...]:
        results = zip(self.function(*given), self.dtypes, strict=True)
        return tuple(_words(np.asarray(result, dtype)) for result, dtype in results)


def _narrowed(x: Array) -> Array:
    """Numbers of 64 bits as pairs of 32, since callbacks run in threads without double precision."""
    return jax.lax.bitcast_convert_type(x, jnp.uint32) if x.dtype.itemsize == 8 else x


def _words(x: np.ndarray) -> np.ndarray:
    wide = x.dtype.itemsize == 8
    return np.asarray(x, order="C")[..., None].view(np.uint32) if wide else x


_call = Primitive("call_on_host")
_call.multiple_results = True


@_call.def_abstract_eval
def _shapes(*arguments: Any, function: Function, like: Shapes) -> list[ShapedArray]:
    return [ShapedArray(one.shape, one.dtype) for one in like]


def _batched(
    arguments: Sequence[Array], axes: Sequence[Any], *, function: Function, like: Shapes
) -> tuple[list[Array], list[int]]:
    mapped = [axis is not None for axis in axes]
    given = [
        jnp.moveaxis(argument, axis, 0) if batched else argument[None]
        for argument, axis, batched in zip(arguments, axes, mapped, strict=True)
    ]
    size = given[mapped.index(True)].shape[0]
    grown = tuple(jax.ShapeDtypeStruct((size, *one.shape), one.dtype) for one in like)
    return _call.bind(*given, function=function, like=grown), [0] * len(like)


def _lowered(context: Any, *arguments: Any, function: Function, like: Shapes) -> Any:
    results, _, _ = mlir.emit_python_callback(
        context, function, None, list(arguments), context.avals_in, context.avals_out,
        has_side_effect=False, returns_token=False,
    )  # fmt: skip
    return results


batching.primitive_batchers[_call] = _batched
for _platform in ("cpu", "cuda", "rocm"):
    mlir.register_lowering(_call, _lowered, platform=_platform)
