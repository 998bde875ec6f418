"""The laws of a group."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from hiflow.groups import AbstractGroup, SupportsAlignment, linear_part
from hiflow.testing._compiled import compiled
from hiflow.testing._report import Findings, Report, largest, seed


def check_group(
    group: AbstractGroup, event_shape: tuple[int, ...], *, key: PRNGKeyArray | None = None
) -> Findings:
    """Check that a group's elements compose, invert and keep distances, that `project` is the
    orthogonal projection along `null_modes` and commutes with the group, that the tangents of an
    orbit move with the event, and that `align`, where there is one, brings events nearer.

    **Arguments:**

    - `event_shape`: the shape of events that it acts on.

    **Returns:** the largest violation of each law. **Raises:** `BrokenLawsError` for broken laws.

    **Example:**

    ```pycon
    >>> found = hf.testing.check_group(hf.groups.Rotation(3), event_shape=(4, 3), key=key)
    >>> found.laws[-1].violation <= found.laws[-1].tolerance
    True
    ```
    """
    key = seed(key)
    report = Report("check_group", group, key)
    found = _measure(group, tuple(event_shape), jax.random.split(key, 8))
    laws = [
        ("compose", "act(compose(g, h), x) = act(g, act(h, x))"),
        ("inverse", "act(inverse(g), act(g, x)) = x, and the other way round"),
        ("distances", "|gx - gy| = |x - y|"),
        ("linear", "project is linear"),
        ("idempotent", "project(project(x)) = project(x)"),
        ("orthogonal", "project is symmetric"),
        ("commutes", "project commutes with the linear part of g"),
        ("null modes", "null_modes is an orthonormal basis of what project removes"),
        ("tangents", "the tangents at gx are those at x, moved by g, and span the null modes"),
        ("align", "|align(x, y) x - y| is at most |x - y|"),
    ]
    for law, meaning in laws:
        if law not in found:
            continue
        report.law(law, meaning, found[law], report.rounding, "draw")
    return report.finish()


@compiled
def _measure(group: AbstractGroup, event_shape: tuple[int, ...], keys: Array) -> dict[str, Array]:
    def one(key: Array) -> dict[str, Array]:
        k_g, k_h, k_x, k_y = jax.random.split(key, 4)
        g, h = group.sample(k_g, event_shape), group.sample(k_h, event_shape)
        x, y = jax.random.normal(k_x, event_shape), jax.random.normal(k_y, event_shape)
        gx, gy, P = group.act(g, x), group.act(g, y), group.project
        there, back = group.act(group.inverse(g), gx), group.act(g, group.act(group.inverse(g), x))
        null = group.null_modes(x)
        removed = jnp.matmul(null, jnp.matmul(null.T, x.ravel(), precision="highest"))
        gram = jnp.matmul(null.T, null, precision="highest") - jnp.eye(null.shape[1])
        found = {
            "compose": largest(group.act(group.compose(g, h), x) - group.act(g, group.act(h, x))),
            "inverse": jnp.maximum(largest(there - x), largest(back - x)),
            "distances": jnp.abs(jnp.sum((gx - gy) ** 2) - jnp.sum((x - y) ** 2)) / x.size,
            "linear": largest(P(x + 2 * y) - P(x) - 2 * P(y)),
            "idempotent": largest(P(P(x)) - P(x)),
            "orthogonal": jnp.abs(jnp.sum(P(x) * y) - jnp.sum(x * P(y))) / x.size,
            "commutes": largest(P(linear_part(group, g, x)) - linear_part(group, g, P(x))),
            "null modes": jnp.maximum(largest(gram), largest((x - P(x)).ravel() - removed)),
            "tangents": _tangents(group, g, x, null),
        }
        if isinstance(group, SupportsAlignment):
            before = jnp.sum((x - y) ** 2)
            after = jnp.sum((group.act(group.align(x, y), x) - y) ** 2)
            found["align"] = jnp.maximum(after - before, 0) / before
        return found

    return jax.vmap(one)(keys)


def _tangents(group: AbstractGroup, g: PyTree, x: Array, null: Array) -> Array:
    """How far the orbit's tangent space is from moving with `x`, and from holding the null modes."""
    here, there = _projector(group.tangents(x)), _projector(group.tangents(group.act(g, x)))
    turn = jax.vmap(lambda v: linear_part(group, g, v.reshape(x.shape)).ravel(), 1, 1)
    moved = largest(turn(here) - jnp.matmul(there, turn(jnp.eye(x.size)), precision="highest"))
    return jnp.maximum(moved, largest(null - jnp.matmul(here, null, precision="highest")))


def _projector(tangents: Array) -> Array:
    """Onto the span of the columns, which may be dependent."""
    if tangents.shape[1] == 0:
        return jnp.zeros((tangents.shape[0], tangents.shape[0]), tangents.dtype)
    U, s, _ = jnp.linalg.svd(tangents, full_matrices=False)
    kept = U * (s > 1e-5 * s[0])
    return jnp.matmul(kept, kept.T, precision="highest")
