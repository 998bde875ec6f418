r"""One step of an explicit Runge–Kutta method, for a point and an integral along its way.

$x_i = x + h \sum_{j<i} a_{ij} v(t + c_j h, x_j)$; the step ends in $x + h \sum_i b_i v_i$ with the error
$h \sum_i e_i v_i$, and the integral grows by $h \sum_i b_i q_i$: $q_i$ is needed only where $b_i$ or
$e_i$ isn't 0.
"""

from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hiflow._integration._problem import Field, Rates


class Tableau(NamedTuple):
    """The coefficients of a method.

    **Arguments:**

    - `reuses`: whether the last stage is the step's end, so that it is the next step's first.
    """

    a: np.ndarray
    b: np.ndarray
    error: np.ndarray
    c: np.ndarray
    reuses: bool

    @classmethod
    def of(cls, method: diffrax.AbstractSolver) -> "Tableau":
        """That of a method of diffrax."""
        if isinstance(method, diffrax.Euler):
            return cls(np.zeros((1, 1)), np.ones(1), np.zeros(1), np.zeros(1), False)
        given: Any = method
        stages = given.tableau.num_stages
        a = np.zeros((stages, stages))
        for i, row in enumerate(given.tableau.a_lower):
            a[i + 1, : i + 1] = row
        c = np.concatenate([np.zeros(1), given.tableau.c])
        return cls(a, given.tableau.b_sol, given.tableau.b_error, c, given.tableau.fsal)

    @property
    def stages(self) -> int:
        """How many there are."""
        return len(self.b)

    @property
    def asked(self) -> np.ndarray:
        """At which stages the integral's rate is used."""
        asked = (self.b != 0) | (self.error != 0)
        # What the last stage finds is the next step's first.
        asked[-1] |= self.reuses and asked[0]
        return asked

    def without_error(self) -> "Tableau":
        """The stages that the step's end needs, without an error."""
        needed = self.b != 0
        for i in reversed(range(self.stages)):
            needed |= needed[i] & (self.a[i] != 0)
        a, b, c = self.a[np.ix_(needed, needed)], self.b[needed], self.c[needed]
        return Tableau(a, b, np.zeros_like(b), c, False)


class Step(NamedTuple):
    """The end of a step: the point, what the integral gained, the errors of both, and the last
    stage's rates."""

    x: Float[Array, "*event"]
    gained: PyTree
    error: Rates
    last: Rates


def step(
    tableau: Tableau,
    field: Field,
    times: tuple[Float[Array, ""], Float[Array, ""]],
    h: Float[Array, ""],
    x: Float[Array, "*event"],
    drawn: PyTree,
    first: Rates | None,
) -> Step:
    """A step from one time to another.

    **Arguments:**

    - `times`: of its start and its end.
    - `h`: what rates are multiplied by.
    - `first`: the rates at the start, if they are known.
    """
    rates = jax.eval_shape(field.both, times[0], x, drawn) if first is None else first
    k = jax.tree.map(lambda leaf: jnp.zeros((tableau.stages, *leaf.shape), x.dtype), rates)
    if first is not None:
        k = jax.tree.map(lambda all_, one: all_.at[0].set(one), k, first)
    known = 0 if first is None else 1

    def stage(
        carry: tuple[Rates, Array], row: tuple[Array, ...]
    ) -> tuple[tuple[Rates, Array], None]:
        k, _ = carry
        index, a, c, asked = row
        t = jnp.where(c == 1, times[1], times[0] + c * (times[1] - times[0]))
        at = x + h * _combine(a, k[0])
        found = _evaluate(field, tableau, asked, t, at, drawn, k)
        return (jax.tree.map(lambda all_, one: all_.at[index].set(one), k, found), at), None

    rows = (
        np.arange(tableau.stages),
        jnp.asarray(tableau.a, x.dtype),
        jnp.asarray(tableau.c, x.dtype),
        tableau.asked,
    )
    rows = jax.tree.map(lambda leaf: leaf[known:], rows)
    (k, at), _ = jax.lax.scan(stage, (k, x), rows)
    grown, error = (
        jax.tree.map(lambda leaf: h * _combine(jnp.asarray(weights, x.dtype), leaf), k)  # noqa: B023
        for weights in (tableau.b, tableau.error)
    )
    end = at if tableau.reuses else x + grown[0]
    return Step(end, grown[1], error, jax.tree.map(lambda leaf: leaf[-1], k))


def _evaluate(
    field: Field, tableau: Tableau, asked: Array, t: Array, x: Array, drawn: PyTree, k: Rates
) -> Rates:
    """The rates at a stage, that of the integral only where it is asked for."""

    def both() -> Rates:
        return jax.tree.map(lambda leaf: leaf.astype(x.dtype), field.both(t, x, drawn))

    def velocity() -> Rates:
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), k[1])
        return field.velocity(t, x, drawn).astype(x.dtype), nothing

    if not jax.tree.leaves(k[1]) or tableau.asked.all():
        return both()
    return jax.lax.cond(asked, both, velocity)


def _combine(weights: Float[Array, " stages"], k: Float[Array, "stages *event"]) -> Array:
    # Not in TensorFloat-32, on devices that would.
    return jnp.tensordot(weights, k, axes=1, precision="highest")
