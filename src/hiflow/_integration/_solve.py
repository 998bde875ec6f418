"""The two solves, differentiable in what the field is made of, in the starts and in what samples are
given."""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hiflow._integration._adaptive import Adaptive
from hiflow._integration._lanes import (
    Ends,
    adaptive_steps,
    adaptive_steps_in_chunks,
    fixed_steps,
)
from hiflow._integration._problem import Field, Interval, Report

MakeField = Callable[[PyTree], Field]


def solve_in_steps(
    make: MakeField,
    parts: PyTree,
    x: Float[Array, "n *event"],
    keys: PyTree,
    interval: Interval,
    method: diffrax.AbstractSolver,
    steps: int,
    width: int,
) -> tuple[Ends, Report]:
    """Ends after a number of equal steps."""
    return fixed_steps(make(parts), interval, method, steps, x, keys, width)


def solve_adaptively(
    make: MakeField,
    parts: PyTree,
    x: Float[Array, "n *event"],
    keys: PyTree,
    interval: Interval,
    method: diffrax.AbstractSolver,
    controller: diffrax.PIDController,
    width: int,
) -> tuple[Ends, Report]:
    """Ends by adaptive steps: in lanes that are refilled, or in chunks where it is differentiated."""
    arrays, rest = eqx.partition(controller, eqx.is_array)
    controller = eqx.combine(jax.lax.stop_gradient(arrays), rest)
    ends, counts = _adaptively((parts, x, keys), make, interval, method, controller, width)
    nfe, accepted, rejected, arrived = jax.lax.stop_gradient(counts)
    whole = jnp.int32
    counts = nfe.astype(whole), accepted.astype(whole), rejected.astype(whole)
    return ends, Report(*counts, arrived > 0)


@eqx.filter_custom_vjp
def _adaptively(differentiable, make, interval, method, controller, width):
    parts, x, keys = differentiable
    solve = Adaptive(make(parts), interval, method, controller)
    ends, report = adaptive_steps(solve, x, keys, width)
    return ends, _as_floats(report)


@_adaptively.def_fwd
def _forward(perturbed, differentiable, make, interval, method, controller, width):
    inexact, rest = eqx.partition(differentiable, eqx.is_inexact_array)

    def ends(inexact: PyTree) -> tuple[Ends, Report]:
        parts, x, keys = eqx.combine(inexact, rest)
        solve = Adaptive(make(parts), interval, method, controller)
        ends, report = adaptive_steps_in_chunks(solve, x, keys, width)
        return ends, _as_floats(report)

    found, pull, report = jax.vjp(ends, inexact, has_aux=True)
    return (found, report), (pull, found)


@_adaptively.def_bwd
def _backward(residuals: Any, slopes: Any, perturbed, differentiable, *args: Any):
    pull, found = residuals
    slopes = jax.tree.map(
        lambda end, slope: jnp.zeros_like(end) if slope is None else slope,
        found,
        slopes[0],
    )
    (inexact,) = pull(slopes)
    return inexact


def _as_floats(report: Report) -> Report:
    """JAX lets nothing else be computed with what a function with its own derivative gives."""
    return jax.tree.map(lambda count: count.astype(jnp.float32), report)
