"""The laws of a velocity field."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from hiflow.groups import linear_part
from hiflow.networks import AbstractVelocityField, SupportsDivergence
from hiflow.networks._perturbed import perturbed
from hiflow.testing._compiled import compiled
from hiflow.testing._report import Findings, Report, largest, seed

_TIMES = (0.0, 0.3, 0.7, 1.0)


def check_velocity_field(
    field: AbstractVelocityField, *, key: PRNGKeyArray | None = None, perturb: float = 0.1
) -> Findings:
    """Check that a field is finite, equivariant under its group, and that its own divergence,
    where it has one, is the trace of its Jacobian.

    **Arguments:**

    - `perturb`: noise added to every floating-point leaf before the check, because a fresh network
      is often 0, where every law holds. 0 if your field keeps constants in arrays.

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
    found = _measure(field, jnp.asarray(_TIMES), x, jax.random.split(k_group, 3))
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
