"""How a flow's differential equation is solved: the settings, the solve, and what it took."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from hiflow import divergences
from hiflow._checks import Refused, as_scalar, converter, is_concrete, nearest, whole

T = TypeVar("T")
_MOST_STEPS = 4096


class SolverStats(eqx.Module):
    """What the ODE solver did, per sample.

    **Arguments:**

    - `nfe`: velocity evaluations that the solver made, rejected steps and first-same-as-last reuse
      counted as they happened.
    - `accepted`, `rejected`: steps.
    - `probe_variance`: variance of the log density, in nats², that comes from estimating the divergence
      with probes; 0 if it is exact or wasn't asked for, NaN for a single probe.
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
    if isinstance(value, bool | str):
        raise Refused("must be positive and finite, a number")
    array = as_scalar(value)
    if is_concrete(array) and not 0 < float(array) < jnp.inf:
        raise Refused("must be positive and finite, a number")
    return array


def _as_steps(value: object) -> int | None:
    return None if value is None else whole(1)(value)


class Solver(eqx.Module):
    """How a flow is solved. Every method of [`Flow`][hiflow.Flow] takes these fields as keywords too.

    **Arguments:**

    - `method`: an explicit Runge–Kutta method of diffrax, or its name.
    - `rtol`, `atol`: relative and absolute tolerance of adaptive steps.
    - `steps`: a number of equal steps instead of adaptive ones.
    - `divergence`: [`Exact`][hiflow.divergences.Exact], or
      [`Hutchinson`][hiflow.divergences.Hutchinson], which needs `key`; its name, or a table.
    - `chunk_size`: how many samples a device solves side by side. A chunk runs until its slowest
      is done.

    **Raises:** `ValueError` for a value of another kind or out of range, with the field's name.
    """

    method: diffrax.AbstractSolver = eqx.field(
        converter=converter("method", _as_method), default="Tsit5"
    )
    rtol: Float[Array, ""] = eqx.field(converter=converter("rtol", _as_tolerance), default=1e-4)
    atol: Float[Array, ""] = eqx.field(converter=converter("atol", _as_tolerance), default=1e-4)
    steps: int | None = eqx.field(
        static=True, converter=converter("steps", _as_steps), default=None
    )
    divergence: divergences.AbstractDivergence = eqx.field(
        converter=divergences.registry.make, default="exact"
    )
    chunk_size: int = eqx.field(
        static=True, converter=converter("chunk_size", whole(1)), default=128
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
    solver: Solver, field: Callable[..., T], state: T, args: PyTree, start: float, end: float
) -> tuple[T, SolverStats, Bool[Array, ""]]:
    """The state at `end` of $\\dot s = $ `field`$(t, s, $`args`$)$, what it took, and whether the solver
    got there.

    The caller looks at the last: an error raised in here, from compiled code, would keep the program
    out of JAX's persistent compilation cache.
    """
    adaptive = solver.steps is None
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        solver.method,
        start,
        end,
        # An explicit first step: diffrax's own choice may cost evaluations that it doesn't report.
        dt0=(end - start) / (solver.steps or 100),
        y0=state,
        args=args,
        stepsize_controller=(
            diffrax.PIDController(solver.rtol, solver.atol)
            if adaptive
            else diffrax.ConstantStepSize()
        ),
        max_steps=_MOST_STEPS if adaptive else solver.steps,
        throw=False,
    )
    assert solution.ys is not None
    final = jax.tree.map(lambda leaf: leaf[0], solution.ys)
    arrived = solution.result == diffrax.RESULTS.successful
    return final, _count(solver.method, solution.stats), arrived


def _count(method: diffrax.AbstractSolver, stats: dict[str, PyTree]) -> SolverStats:
    steps = stats["num_steps"]
    if isinstance(method, diffrax.AbstractERK):
        tableau: Any = method.tableau
        stages, reuses = tableau.num_stages, tableau.fsal
    else:
        stages, reuses = 1, False
    # First-same-as-last: the last stage of a step is the first of the next, also after a rejection.
    evaluations = 1 + steps * (stages - 1) if reuses else steps * stages
    accepted, rejected = stats["num_accepted_steps"], stats["num_rejected_steps"]
    return SolverStats(evaluations, accepted, rejected, jnp.zeros(()))


def check_arrived(arrived: Bool[Array, " n"], results: T) -> T:
    """The results, unless the solver gave up on one of them.

    **Raises:** `RuntimeError`; under a caller's own `jit`, when the compiled program runs.
    """
    words = (
        f"within {_MOST_STEPS:,} steps. Loosen `rtol` and `atol`, pass a fixed number of `steps`, or "
        "look at the network: its velocity may be stiff or not finite there."
    )
    if not is_concrete(arrived):
        return eqx.error_if(results, ~jnp.all(arrived), f"the solver didn't arrive {words}")
    lost = int(jnp.sum(~arrived))
    if lost:
        raise RuntimeError(f"the solver didn't arrive for {lost} of {arrived.size} samples {words}")
    return results
