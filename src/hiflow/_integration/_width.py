"""How many samples are solved side by side."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import jaxprs_in_params
from jaxtyping import PyTree

# What the largest intermediate of all lanes may take: on a processor about its cache, elsewhere a part
# of the memory.
_BYTES = {"cpu": 2**20, "other": 2**30}
_MOST = {"cpu": 256, "other": 8192}
_LEAST_ROUNDS = 8
_LEAST = 8


def width_for(function: Callable[..., Any], *inputs: PyTree, n: int, refilled: bool) -> int:
    """The number of lanes for `n` samples, from the largest array that one evaluation makes.

    **Arguments:**

    - `function`, `inputs`: the evaluation, for one sample.
    - `refilled`: whether lanes take a next sample when they are done: then there should be several for
      each, or most lanes wait for the last.
    """
    largest = _largest(jax.make_jaxpr(function)(*inputs).jaxpr)
    kind = "cpu" if jax.default_backend() == "cpu" else "other"
    width = max(1, min(_MOST[kind], _BYTES[kind] // largest, n))
    if refilled and kind == "cpu":
        width = min(width, max(_LEAST, -(-n // _LEAST_ROUNDS)))
    return width


def _largest(jaxpr: Any) -> int:
    """Bytes of the largest array that is made in it."""
    sizes = [1]
    for equation in jaxpr.eqns:
        inner = [*jaxprs_in_params(equation.params)]
        sizes += [_largest(each) for each in inner]
        for variable in equation.outvars:
            shaped = variable.aval
            if hasattr(shaped, "size") and hasattr(shaped.dtype, "itemsize"):
                sizes.append(shaped.size * shaped.dtype.itemsize)
    return max(sizes)
