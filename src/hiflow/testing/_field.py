"""The laws of a velocity field."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from hiflow.groups import linear_part
from hiflow.networks import (
    AbstractVelocityField,
    Labels,
    SupportsDivergence,
    Vector,
    conditions_of,
    told,
)
from hiflow.networks._perturbed import perturbed
from hiflow.testing._compiled import compiled
from hiflow.testing._report import Findings, Report, largest, seed

_TIMES = (0.0, 0.3, 0.7, 1.0)


def check_velocity_field(
    field: AbstractVelocityField,
    *,
    key: PRNGKeyArray | None = None,
    perturb: float = 0.1,
    condition: PyTree = None,
) -> Findings:
    """Check that a field is finite, equivariant under its group, and that its own divergence,
    where it has one, is the trace of its Jacobian; all of it without a condition and under one, if it
    is a field of conditions, which then must change the velocity, and be no condition where it is -1 or
    NaN.

    **Arguments:**

    - `perturb`: noise added to every floating-point leaf before the check, because a fresh network
      is often 0, where every law holds. 0 if your field keeps constants in arrays.
    - `condition`: one that the field takes; by default a label or a vector at random.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> network = hf.networks.MLP(2, width=16, key=key)
    >>> found = hf.testing.check_velocity_field(network, key=key)
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    key = seed(key)
    k_noise, k_x, k_group = jax.random.split(key, 3)
    report = Report("check_velocity_field", field, key)
    field = perturbed(field, k_noise, perturb)
    x = jax.random.normal(k_x, (4, *field.event_shape))
    keys, times = jax.random.split(k_group, 3), jnp.asarray(_TIMES)
    found = _measure(field, times, x, keys)
    heard = _condition(field, k_x) if condition is None else jax.tree.map(jnp.asarray, condition)
    if heard is not None and len(found) > 1:
        under = _measure(told(field, heard), times, x, keys)
        found = {name: jnp.maximum(each, under[name]) for name, each in found.items()}
        found |= _of_condition(field, times, x, heard)
    at, t = ("t", "point"), {"t": _TIMES}
    report.law("shape", "a velocity has the event shape", found["shape"], 0, *at, **t)
    if len(found) == 1:
        return report.finish()
    tolerance = 10 * report.rounding
    report.law("finite", "velocities are finite", found["infinite"], 0, *at, **t)
    report.law(
        "projection", "velocities lie in the image of group.project", found["outside"], tolerance,
        *at, **t,
    )  # fmt: skip
    report.law(
        "equivariance", "v(t, gx) = g v(t, x), translations left out", found["equivariance"],
        tolerance, *at, "element", **t,
    )  # fmt: skip
    if heard is not None:
        report.law("condition", "a condition changes the velocity", found["unheard"], 0, *at, **t)
        report.law("dropped", "-1 or NaN is no condition", found["dropped"], tolerance, *at, **t)
    if isinstance(field, SupportsDivergence):
        report.law(
            "velocity", "velocity_and_divergence gives the velocity", found["velocity"], tolerance,
            *at, **t,
        )  # fmt: skip
        report.law(
            "divergence", "the field's divergence is the trace of its Jacobian",
            found["divergence"], tolerance, *at, **t,
        )  # fmt: skip
    return report.finish()


def _condition(field: AbstractVelocityField, key: PRNGKeyArray) -> Array | None:
    """One that the field takes, if it says of what kind they are."""
    conditions = conditions_of(field)
    if isinstance(conditions, Labels):
        return jax.random.randint(key, (), 0, conditions.classes)
    return jax.random.normal(key, (conditions.size,)) if isinstance(conditions, Vector) else None


@compiled
def _of_condition(
    field: AbstractVelocityField, times: Array, points: Array, condition: PyTree
) -> dict[str, Array]:
    none = jax.tree.map(
        lambda c: jnp.full_like(c, jnp.nan if jnp.issubdtype(c.dtype, jnp.inexact) else -1),
        condition,
    )

    def at(t: Array, x: Array) -> dict[str, Array]:
        free, dropped, heard = (told(field, c)(t, x) for c in (None, none, condition))
        return {
            "unheard": jnp.where(largest(heard - free) > 0, 0, jnp.inf),
            "dropped": largest(dropped - free) / (1 + largest(free)),
        }

    return jax.vmap(lambda t: jax.vmap(lambda x: at(t, x))(points))(times)


@compiled
def _measure(
    field: AbstractVelocityField, times: Array, points: Array, keys: Array
) -> dict[str, Array]:
    group = field.group

    def at(t: Array, x: Array) -> dict[str, Array]:
        v = field(t, x)
        scale = 1 + largest(v)
        if v.shape != x.shape:
            return {"shape": jnp.full((), jnp.inf)}
        found = {
            "shape": jnp.zeros(()),
            "infinite": jnp.where(jnp.isfinite(v).all(), 0, jnp.inf),
            "outside": largest(v - group.project(v)) / scale,
        }

        def moved(key: Array) -> Array:
            g = group.sample(key, field.event_shape)
            return largest(field(t, group.act(g, x)) - linear_part(group, g, v)) / scale

        found["equivariance"] = jax.vmap(moved)(keys)
        if isinstance(field, SupportsDivergence):
            velocity, divergence = field.velocity_and_divergence(t, x)
            jacobian = jax.jacfwd(lambda y: field(t, y.reshape(x.shape)).ravel())(x.ravel())
            trace = jnp.trace(jacobian)
            found["velocity"] = largest(velocity - v) / scale
            found["divergence"] = jnp.abs(divergence - trace) / (
                1 + jnp.sum(jnp.abs(jnp.diag(jacobian)))
            )
        return found

    return jax.vmap(lambda t: jax.vmap(lambda x: at(t, x))(points))(times)
