"""Energies of the host as JAX functions: derivatives are forces, then differences of forces."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow_ase._host import Host


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def energy(
    host: Host, displacement: Float[Array, ""], x: Float[Array, "atoms 3"]
) -> Float[Array, ""]:
    """In eV, of positions in Å. `displacement` isn't differentiated."""
    del displacement
    return _call(host.energy, ((),), x)[0]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def energy_and_gradient(
    host: Host, displacement: Float[Array, ""], x: Float[Array, "atoms 3"]
) -> tuple[Float[Array, ""], Float[Array, "atoms 3"]]:
    """In eV and eV/Å, from one calculation."""
    del displacement
    value, gradient = _call(host.energy_and_gradient, ((), x.shape), x)
    return value, gradient


def hessian(
    host: Host, displacement: Float[Array, ""], x: Float[Array, "atoms 3"]
) -> Float[Array, "dim dim"]:
    """In eV/Å²."""
    return _call(host.hessian, ((x.size, x.size),), _last(x), displacement)[0]


# Two levels, because a rule that also gave the gradient's tangent would put a finite difference
# into every gradient.
@energy.defjvp
def _(host: Host, primals: Any, tangents: Any) -> tuple[Array, Array]:
    value, gradient = energy_and_gradient(host, *primals)
    return value, jnp.sum(gradient * tangents[1])


@energy_and_gradient.defjvp
def _(host: Host, primals: Any, tangents: Any) -> tuple[Any, Any]:
    displacement, x = primals
    direction = tangents[1]
    value, gradient = energy_and_gradient(host, displacement, x)
    product = _hessian_vector_product(host, displacement, x, direction)
    return (value, gradient), (jnp.sum(gradient * direction), product)


def _hessian_vector_product(host: Host, displacement: Array, x: Array, direction: Array) -> Array:
    x = _last(x)

    def product(_: Any, v: Array) -> Array:
        return _call(host.hessian_vector_product, (x.shape,), x, v, displacement)[0]

    # Nothing is solved: this is how JAX is told that a function is linear and its own transpose,
    # which reverse mode over the gradient needs and a callback alone can't give.
    return jax.lax.custom_linear_solve(lambda v: v, direction, product, symmetric=True)


@jax.custom_jvp
def _last(x: Array) -> Array:
    """`x`, where nothing differentiates any further. Without it the result would be a silent 0."""
    return x


@_last.defjvp
def _(primals: Any, tangents: Any) -> Any:
    raise ValueError(
        "AseEnergy has no third derivatives, nor a derivative of `hessian(x)`: its second ones are "
        "finite differences. Apply jax.lax.stop_gradient to the positions."
    )


def _call(
    function: Callable[..., Any], shapes: tuple[tuple[int, ...], ...], *arrays: Array
) -> list[Array]:
    """The function on the host in float64, and its results in the dtype of the first array."""
    dtype = arrays[0].dtype
    results = [jax.eval_shape(_as_words, jax.ShapeDtypeStruct(shape, dtype)) for shape in shapes]
    words = jax.pure_callback(
        _OnHost(function, np.dtype(dtype)),
        results,
        *map(_as_words, arrays),
        vmap_method="sequential",
    )
    return [jax.lax.bitcast_convert_type(word, dtype) for word in words]


# JAX converts what goes in and out of a callback on a thread of its own, which doesn't know of
# `with jax.enable_x64(True)` in the caller's, and would round float64 to float32. Words of 32 bits
# pass unchanged.
def _as_words(x: Array) -> Array:
    return jax.lax.bitcast_convert_type(x, jnp.uint32) if x.dtype == jnp.float64 else x


@dataclasses.dataclass(frozen=True)
class _OnHost:
    """Equal for equal functions, so that JAX's caches recognise it."""

    function: Callable[..., Any]
    dtype: np.dtype

    def __call__(self, *words: Any) -> list[np.ndarray]:
        results = self.function(*map(_from_words, words))
        return [_to_words(np.asarray(result, self.dtype)) for result in results]


def _from_words(words: Any) -> np.ndarray:
    words = np.array(words, order="C")
    if words.dtype == np.uint32:
        return words.view(np.float64)[..., 0]
    return words.astype(np.float64)


def _to_words(x: np.ndarray) -> np.ndarray:
    return x[..., None].view(np.uint32) if x.dtype == np.float64 else x
