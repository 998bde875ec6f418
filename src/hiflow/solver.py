"""How a flow's differential equation is solved: the settings, the solve, and what it took."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from hiflow import divergences
from hiflow._checks import Refused, as_scalar, converter, is_concrete, nearest, whole
from hiflow._integration import (
    Field,
    Interval,
    in_chunks,
    solve_adaptively,
    solve_in_steps,
    width_for,
)
from hiflow._integration._adaptive import FIRST_STEP, MOST_STEPS
from hiflow._kinds import wanted
from hiflow._summaries import Component
from hiflow.networks import AbstractVelocityField, told

T = TypeVar("T")
LARGEST_TOLERANCE = 1.0


class SolverStats(Component):
    """What the ODE solver did, per sample.

    **Arguments:**

    - `nfe`: velocity evaluations that the solver made, rejected steps and first-same-as-last reuse
      counted as they happened.
    - `accepted`, `rejected`: steps.
    - `probe_variance`: variance of the log density, in nats², that comes from estimating the divergence
      with probes; 0 if it is exact or wasn't asked for, NaN for a single probe.

    **Example:**

    ```pycon
    >>> log_p, stats = flow.log_prob_and_stats(points[:3], method="Heun", steps=8)
    >>> stats.nfe  # two velocities per step
    Array([16, 16, 16], dtype=int32)
    ```
    """

    nfe: Int[Array, "*batch"]
    accepted: Int[Array, "*batch"]
    rejected: Int[Array, "*batch"]
    probe_variance: Float[Array, "*batch"]


def methods() -> list[str]:
    """The names of the methods of diffrax whose evaluations can be counted."""
    return sorted(name for name, item in vars(diffrax).items() if _is_method(item))


def _is_method(item: object) -> bool:
    counted = (diffrax.AbstractERK, diffrax.Euler)
    return inspect.isclass(item) and issubclass(item, counted) and item is not diffrax.AbstractERK


def _as_method(value: object) -> diffrax.AbstractSolver:
    if isinstance(value, str):
        if value not in methods():
            raise Refused(
                f"must be the name of a method of diffrax{nearest(value, methods())} There are "
                f"{', '.join(methods())}"
            )
        return getattr(diffrax, value)()
    if not isinstance(value, diffrax.AbstractERK | diffrax.Euler):
        raise Refused(
            "must be an explicit Runge–Kutta method (diffrax.AbstractERK or Euler), whose evaluations "
            "can be counted"
        )
    return value


def _as_tolerance(value: object) -> Float[Array, ""]:
    if wanted(float, value) is not None:
        raise Refused("must be positive and finite, a number")
    array = as_scalar(value)
    if is_concrete(array) and not 0 < float(array) < jnp.inf:
        raise Refused("must be positive and finite, a number")
    # A larger one lets every step pass: what comes out is no solution, and nothing would say so.
    if is_concrete(array) and float(array) > LARGEST_TOLERANCE:
        raise Refused(f"must be at most {LARGEST_TOLERANCE:g}: the steps' error is held to it")
    return array


def _as_number(value: object) -> int | None:
    return None if value is None else whole(1)(value)


class Solver(Component):
    """How a flow is solved. Every method of [`Flow`][hiflow.Flow] takes these fields as keywords too.

    **Arguments:**

    - `method`: an explicit Runge–Kutta method of diffrax, or its name.
    - `rtol`, `atol`: relative and absolute tolerance of adaptive steps. In single precision the
      default's steps are chosen by errors near rounding, which differ with the shape of a batch: the log
      density of one LJ13 point moved by up to 0.1 nats between chunks. For comparisons of single
      points take tighter tolerances or a number of `steps`, and check it against twice as many: on a
      briefly trained LJ13 flow single points were off by 0.08 nats on average at the default, by 0.03
      with 16 steps of Tsit5.
    - `steps`: a number of equal steps instead of adaptive ones.
    - `divergence`: [`Exact`][hiflow.divergences.Exact], or
      [`Hutchinson`][hiflow.divergences.Hutchinson], which needs `key`; its name, or a table.
    - `chunk_size`: how many samples a device solves side by side; `None` chooses by what one evaluation
      holds in memory. With adaptive steps, who is done makes room for the next sample; where the solve
      is differentiated, a chunk runs until its slowest is done.

    **Raises:** `ValueError` for a value of another kind or out of range, with the field's name.

    **Example:**

    ```pycon
    >>> quick = hf.Solver("Heun", steps=8, divergence="hutchinson")
    >>> flow.log_prob(points, key=key, solver=quick).shape
    (200,)
    ```
    """

    method: diffrax.AbstractSolver = eqx.field(
        converter=converter("method", _as_method), default="Tsit5"
    )
    rtol: Float[Array, ""] = eqx.field(converter=converter("rtol", _as_tolerance), default=1e-4)
    atol: Float[Array, ""] = eqx.field(converter=converter("atol", _as_tolerance), default=1e-4)
    steps: int | None = eqx.field(
        static=True, converter=converter("steps", _as_number), default=None
    )
    divergence: divergences.AbstractDivergence = eqx.field(
        converter=divergences.registry.make, default="exact"
    )
    chunk_size: int | None = eqx.field(
        static=True, converter=converter("chunk_size", _as_number), default=None
    )

    def __check_init__(self):
        if isinstance(self.method, diffrax.Euler) and self.steps is None:
            raise ValueError("Euler's method has no error estimate; pass a number of `steps`.")

    def changed(self, *, solver: object = None, **settings: Any) -> "Solver":
        """The same with other settings.

        **Arguments:**

        - `solver`: another `Solver`, to start from it; or a method, in short for `method`.
        - `settings`: fields.

        **Raises:** `ValueError` for an unknown setting or a wrong value.
        """
        start = solver if isinstance(solver, Solver) else self
        if solver is not None and start is self:
            settings = {"method": solver, **settings}
        known = [field.name for field in dataclasses.fields(self)]
        for name in settings:
            if name not in known:
                raise ValueError(
                    f"unknown solver setting {name!r}{nearest(name, known)} There are "
                    f"{', '.join(known)}."
                )
        return dataclasses.replace(start, **settings)


def as_solver(value: object, **settings: Any) -> Solver:
    """A solver from itself, its method, a table of its fields, or `None` for the defaults; with
    other settings if any are given."""
    given = value if isinstance(value, Mapping) else {"solver": value}
    return Solver().changed(**{**given, **settings})


def solve(
    solver: Solver,
    network: AbstractVelocityField,
    x: Float[Array, "n *event"],
    interval: tuple[float, float],
    divergence: divergences.AbstractDivergence | None = None,
    keys: Array | None = None,
    conditions: PyTree = None,
) -> tuple[tuple[Array, Any], SolverStats, Bool[Array, " n"]]:
    """Where the network carries the points `x` from the start of the interval to its end, each under its
    condition, what the divergence adds up to on the way, if one is given, what it took, and who got
    there.

    The caller looks at the last: an error raised in here, from compiled code, would keep the program
    out of JAX's persistent compilation cache.
    """
    # Times are of JAX's default precision, and points at least.
    x = x.astype(jnp.promote_types(x.dtype, jnp.zeros(()).dtype))
    given = keys, conditions
    width = _width(solver, network, x, divergence, given)
    problem = (_field, (network, divergence), x, given, Interval(*interval), solver.method)
    if solver.steps is not None:
        (x, gained), report = solve_in_steps(*problem, solver.steps, width)
    else:
        (x, gained), report = solve_adaptively(*problem, _controller(solver), width)
    nothing = jnp.zeros(report.nfe.shape)
    stats = SolverStats(report.nfe, report.accepted, report.rejected, nothing)
    return (x, gained), stats, report.arrived


def solve_along(
    solver: Solver,
    network: AbstractVelocityField,
    x: Float[Array, "n *event"],
    times: Float[Array, " times"],
    conditions: PyTree = None,
) -> tuple[Float[Array, "n times *event"], Bool[Array, " n"]]:
    """Where the network has carried the points `x` from time 0 at each of the times, each under its
    condition, by the method's interpolation between its steps, and who got to time 1."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.zeros(()).dtype))
    if solver.steps is None:
        controller, first, most = (
            _controller(solver),
            FIRST_STEP,
            MOST_STEPS,
        )
    else:
        ends = jnp.linspace(0, 1, solver.steps + 1).astype(x.dtype)
        controller, first, most = diffrax.StepTo(ends), None, solver.steps
    term = diffrax.ODETerm(lambda t, x, network: network(t, x))
    saved = diffrax.SaveAt(ts=times.astype(x.dtype))

    def one(start: tuple[Array, PyTree]) -> tuple[Array, Array]:
        x, condition = start
        found = diffrax.diffeqsolve(
            term, solver.method, 0.0, 1.0, first, x, told(network, condition),
            saveat=saved, stepsize_controller=controller, max_steps=most, throw=False,
        )  # fmt: skip
        assert found.ys is not None
        return found.ys, found.result == diffrax.RESULTS.successful

    width = _width(solver, network, x, None, (None, conditions))
    return in_chunks(one, (x, conditions), width)


def _controller(solver: Solver) -> diffrax.PIDController:
    return diffrax.PIDController(solver.rtol, solver.atol)


def _field(parts: tuple[AbstractVelocityField, divergences.AbstractDivergence | None]) -> Field:
    """A sample is given a key for the divergence's probes, and its condition."""
    network, divergence = parts

    def velocity(t: Any, x: Any, drawn: Any) -> Array:
        return told(network, drawn[1])(t, x)

    if divergence is None:
        return Field(
            velocity,
            lambda t, x, drawn: (velocity(t, x, drawn), None),
            lambda given, x: (None, given[1]),
        )
    return Field(
        velocity,
        lambda t, x, drawn: divergence(told(network, drawn[1]), t, x, drawn[0]),
        lambda given, x: (divergence.draw(given[0], x), given[1]),
    )


def _width(
    solver: Solver,
    network: AbstractVelocityField,
    x: Float[Array, "n *event"],
    divergence: divergences.AbstractDivergence | None,
    given: PyTree,
) -> int:
    if solver.chunk_size is not None:
        return min(solver.chunk_size, x.shape[0])
    field = _field((network, divergence))

    def once(x: Array, given: PyTree) -> PyTree:
        return field.both(jnp.zeros((), x.dtype), x, field.draw(given, x))

    one = jax.eval_shape(lambda: (x[0], jax.tree.map(lambda leaf: leaf[0], given)))
    return width_for(once, *one, n=x.shape[0], refilled=solver.steps is None)


def check_arrived(arrived: Bool[Array, " n"], results: T) -> T:
    """The results, unless the solver gave up on one of them.

    **Raises:** `RuntimeError`; under a caller's own `jit`, when the compiled program runs.
    """
    words = (
        f"within {MOST_STEPS:,} steps. Loosen `rtol` and `atol`, pass a fixed number of `steps`, or "
        "look at the network: its velocity may be stiff or not finite there."
    )
    if not is_concrete(arrived):
        return eqx.error_if(results, ~jnp.all(arrived), f"the solver didn't arrive {words}")
    lost = int(jnp.sum(~arrived))
    if lost:
        raise RuntimeError(f"the solver didn't arrive for {lost} of {arrived.size} samples {words}")
    return results
