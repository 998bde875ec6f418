"""Functions of a squared distance, kept finite and differentiable where the distance vanishes."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float


def continued(
    phi: Callable[[Array], Array],
    slope: Callable[[Array], Array],
    s: Float[Array, "*shape"],
    core: Float[Array, ""],
) -> Float[Array, "*shape"]:
    r"""$\varphi(s)$ for $s \ge c$, and its tangent $\varphi(c) + \varphi'(c)(s - c)$ below.

    As a function of the points it is continuously differentiable, exact outside the core, and has
    a finite value and gradient even where two points coincide.

    **Arguments:**

    - `phi`, `slope`: $\varphi$ and $\varphi'$, elementwise.
    - `s`: squared distances.
    - `core`: $c$, a squared distance.
    """
    return phi(jnp.maximum(s, core)) + slope(core) * jnp.minimum(s - core, 0)


def continued_derivatives(
    derivatives: Callable[[Array], tuple[Array, Array]],
    s: Float[Array, "*shape"],
    core: Float[Array, ""],
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    r"""First and second derivative in $s$ of what [`continued`][hiflow.energies] returns."""
    first, second = derivatives(jnp.maximum(s, core))
    return first, jnp.where(s < core, 0, second)


def radial_blocks(
    r: Float[Array, "*shape dim"],
    first: Float[Array, "*shape"],
    second: Float[Array, "*shape"],
) -> Float[Array, "*shape dim dim"]:
    r"""Hessian of $\varphi(\|r\|^2)$ in $r$: $2\varphi' I + 4\varphi'' r r^\top$."""
    outer = r[..., :, None] * r[..., None, :]
    eye = jnp.eye(r.shape[-1], dtype=r.dtype)
    return 2 * first[..., None, None] * eye + 4 * second[..., None, None] * outer
