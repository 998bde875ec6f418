"""The laws of a divergence."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from hiflow.divergences import AbstractDivergence
from hiflow.networks import MLP, AbstractVelocityField
from hiflow.networks._perturbed import perturbed
from hiflow.testing._compiled import compiled
from hiflow.testing._report import Findings, Report, largest, seed

_TIMES = (0.0, 0.6)


def check_divergence(
    divergence: AbstractDivergence,
    *,
    field: AbstractVelocityField | None = None,
    key: PRNGKeyArray | None = None,
    draws: int = 1000,
) -> Findings:
    """Check that a divergence gives the field's velocity and the trace of its Jacobian: exactly if it
    draws nothing, else on average over draws, and the same for the same draw.

    **Arguments:**

    - `field`: the field that it is checked on, by default a small random `MLP` in three dimensions.
    - `draws`: how many draws the average is over.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_divergence(hf.divergences.Hutchinson(), key=key, draws=200)
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    key = seed(key)
    k_field, k_x, k_draw = jax.random.split(key, 3)
    if field is None:
        field = MLP((3,), width=8, depth=1, key=k_field)
        field = perturbed(field, k_field, 0.3)
    report = Report("check_divergence", divergence, key, field)
    points = jax.random.normal(k_x, (3, *field.event_shape))
    drawn = divergence.draw(k_draw, points[0])
    velocity, estimates = jax.eval_shape(divergence, field, jnp.zeros(()), points[0], drawn)
    wrong = velocity.shape != points[0].shape or estimates.ndim > (drawn is not None)
    meaning = "the velocity has the event shape; without draws the divergence is one number"
    report.law("shape", meaning, jnp.inf if wrong else 0.0, 0)
    if wrong:
        return report.finish()
    keys = jax.random.split(k_draw, 1 if drawn is None else draws)
    found = _measure(divergence, field, jnp.asarray(_TIMES), points, keys)
    at, t, tolerance = ("t", "point"), {"t": _TIMES}, 10 * report.rounding
    report.law("velocity", "the velocity is the field's", found["velocity"], tolerance, *at, **t)
    report.law(
        "drawn once", "the same key and draw give the same estimates", found["again"], 0, *at, **t
    )
    error, spread = found["error"], found["spread"]
    if drawn is None:
        meaning = "without draws the divergence is the trace of the Jacobian"
        report.law("trace", meaning, error, tolerance, *at, **t)
    else:
        scores = error / (spread / jnp.sqrt(1.0 * draws) + tolerance)
        meaning = "the estimates' mean is the trace of the Jacobian (in standard errors)"
        report.law("mean", meaning, scores, 6, *at, **t)
    return report.finish()


@compiled
def _measure(
    divergence: AbstractDivergence,
    field: AbstractVelocityField,
    times: Array,
    points: Array,
    keys: Array,
) -> dict[str, Array]:
    def at(t: Array, x: Array) -> dict[str, Array]:
        v = field(t, x)
        jacobian = jax.jacfwd(lambda y: field(t, y.reshape(x.shape)).ravel())(x.ravel())
        scale = 1 + jnp.sum(jnp.abs(jnp.diag(jacobian)))

        def once(key: Array) -> tuple[Array, Array, Array]:
            velocity, estimates = divergence(field, t, x, divergence.draw(key, x))
            _, again = divergence(field, t, x, divergence.draw(key, x))
            return largest(velocity - v), jnp.mean(estimates), largest(again - estimates)

        velocity, estimates, again = jax.vmap(once)(keys)
        return {
            "velocity": largest(velocity) / (1 + largest(v)),
            "again": largest(again),
            "error": jnp.abs(jnp.mean(estimates) - jnp.trace(jacobian)) / scale,
            "spread": jnp.std(estimates) / scale,
        }

    return jax.vmap(lambda t: jax.vmap(lambda x: at(t, x))(points))(times)
