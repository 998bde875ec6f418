"""Energies of the host as JAX functions: derivatives are forces, then differences of forces."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._on_host import on_host
from hiflow.energies._host_calls import HostCalls


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def energy(
    host: HostCalls, displacement: Float[Array, ""], x: Float[Array, "*event"]
) -> Float[Array, ""]:
    """In kT. `displacement` isn't differentiated."""
    del displacement
    return on_host(host.energy, (_like(x, ()),), x)[0]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def energy_and_gradient(
    host: HostCalls, displacement: Float[Array, ""], x: Float[Array, "*event"]
) -> tuple[Float[Array, ""], Float[Array, "*event"]]:
    """In kT and kT per length, from one call."""
    del displacement
    value, gradient = on_host(host.value_and_gradient, (_like(x, ()), _like(x, x.shape)), x)
    return value, gradient


def hessian(
    host: HostCalls, displacement: Float[Array, ""], x: Float[Array, "*event"]
) -> Float[Array, "dim dim"]:
    """In kT per squared length."""
    like = _like(x, (x.size, x.size))
    return on_host(host.hessian, (like,), _last(x), displacement)[0]


# Two levels, because a rule that also gave the gradient's tangent would put a finite difference
# into every gradient.
@energy.defjvp
def _(host: HostCalls, primals: Any, tangents: Any) -> tuple[Array, Array]:
    value, gradient = energy_and_gradient(host, *primals)
    return value, jnp.sum(gradient * tangents[1])


@energy_and_gradient.defjvp
def _(host: HostCalls, primals: Any, tangents: Any) -> tuple[Any, Any]:
    displacement, x = primals
    direction = tangents[1]
    value, gradient = energy_and_gradient(host, displacement, x)
    product = _product(host, displacement, x, direction)
    return (value, gradient), (jnp.sum(gradient * direction), product)


def _product(host: HostCalls, displacement: Array, x: Array, direction: Array) -> Array:
    x = _last(x)

    def product(_: Any, v: Array) -> Array:
        return on_host(host.product, (_like(x, x.shape),), x, v, displacement)[0]

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
        "HostEnergy has no third derivatives, nor a derivative of `hessian(x)`: its second ones come "
        "from outside JAX. Apply jax.lax.stop_gradient to the positions."
    )


def _like(x: Array, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, x.dtype)
