"""A flow: prior, velocity field and solver, with samples and a normalised density."""

import os
from typing import Any, TypeVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow import _disk
from hiflow._checks import as_scalar, check_positive
from hiflow._devices import shard_batch
from hiflow.divergences import AbstractDivergence, Exact
from hiflow.networks import AbstractVelocityField
from hiflow.priors import AbstractPrior

T = TypeVar("T")


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


class Flow(eqx.Module):
    r"""The density that the ODE $\dot x = v_\theta(t, x)$ makes of the prior.

    Samples start at the prior and are carried to $t = 1$. The log density of $x$ is
    $\log p_0(x_0) - \int_0^1 \nabla\cdot v_\theta\,dt$ along the trajectory that ends in $x$, in
    nats, with respect to Lebesgue measure on the image of `prior.group.project` (for particles: the
    centred subspace). It is differentiable in `x` and in the network's parameters.

    The solver's settings are defaults that every method takes as keywords too: `solver` (an explicit
    Runge–Kutta method of diffrax), `rtol` and `atol` of its adaptive steps or a fixed number of `steps`,
    `divergence` ([`Exact`][hiflow.divergences.Exact], or [`Hutchinson`][hiflow.divergences.Hutchinson],
    which needs `key`), and `chunk_size`, how many samples are solved side by side (a chunk runs until
    its slowest is done).
    """

    prior: AbstractPrior
    network: AbstractVelocityField
    solver: diffrax.AbstractSolver = eqx.field(default_factory=diffrax.Tsit5)
    rtol: Float[Array, ""] = eqx.field(converter=as_scalar, default=1e-4)
    atol: Float[Array, ""] = eqx.field(converter=as_scalar, default=1e-4)
    steps: int | None = eqx.field(static=True, default=None)
    divergence: AbstractDivergence = eqx.field(default_factory=Exact)
    chunk_size: int = eqx.field(static=True, default=128)

    def __check_init__(self):
        check_positive(self, "rtol", "atol")
        if self.prior.event_shape != self.network.event_shape:
            raise ValueError(
                f"Flow: `prior` has event shape {self.prior.event_shape} and `network` "
                f"{self.network.event_shape}; build both for the same events."
            )
        if not isinstance(self.solver, diffrax.AbstractERK | diffrax.Euler):
            raise ValueError(
                f"Flow: `solver` must be an explicit Runge–Kutta method (diffrax.AbstractERK or Euler), "
                f"whose evaluations can be counted; got {type(self.solver).__name__}."
            )
        if isinstance(self.solver, diffrax.Euler) and self.steps is None:
            raise ValueError(
                "Flow: Euler's method has no error estimate; pass a number of `steps`."
            )
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"Flow: `steps` must be at least 1, got {self.steps}.")
        if self.chunk_size < 1:
            raise ValueError(f"Flow: `chunk_size` must be at least 1, got {self.chunk_size}.")

    def sample(self, key: PRNGKeyArray, n: int, **settings: Any) -> Float[Array, "n *event"]:
        """`n` samples."""
        return self.sample_and_stats(key, n, **settings)[0]

    def sample_and_stats(
        self, key: PRNGKeyArray, n: int, **settings: Any
    ) -> tuple[Float[Array, "n *event"], SolverStats]:
        """`n` samples and what the solver did."""
        flow = self.with_settings(**settings)
        return _in_chunks(_push, flow, _prior_samples(flow, key, n))

    def push(self, x0: Float[Array, "n *event"], **settings: Any) -> Float[Array, "n *event"]:
        """Where the flow carries points of the prior: samples, if `x0` are samples of the prior.

        **Raises:** `ValueError` if `x0` isn't a batch of events.
        """
        if x0.shape[1:] != self.prior.event_shape:
            raise ValueError(
                f"push: `x0` must have shape (n, {', '.join(map(str, self.prior.event_shape))}), got "
                f"{x0.shape}."
            )
        return _in_chunks(_push, self.with_settings(**settings), x0)[0]

    def sample_and_log_prob(
        self, key: PRNGKeyArray, n: int, **settings: Any
    ) -> tuple[Float[Array, "n *event"], Float[Array, " n"]]:
        """`n` samples and their log densities, from one solve."""
        return self.sample_log_prob_and_stats(key, n, **settings)[:2]

    def sample_log_prob_and_stats(
        self, key: PRNGKeyArray, n: int, **settings: Any
    ) -> tuple[Float[Array, "n *event"], Float[Array, " n"], SolverStats]:
        """`n` samples, their log densities and what the solver did."""
        flow = self.with_settings(**settings)
        key_prior, key_probes = jax.random.split(key)
        x0 = _prior_samples(flow, key_prior, n)
        return _in_chunks(_push_with_density, flow, (x0, jax.random.split(key_probes, n)))

    def log_prob(
        self, x: Float[Array, "*batch_event"], *, key: PRNGKeyArray | None = None, **settings: Any
    ) -> Float[Array, "*batch"]:
        """The log density in nats of one event or of a batch of events.

        **Raises:** `ValueError` if `x` has neither the event's shape nor that of a batch of events.
        """
        return self.log_prob_and_stats(x, key=key, **settings)[0]

    def log_prob_and_stats(
        self, x: Float[Array, "*batch_event"], *, key: PRNGKeyArray | None = None, **settings: Any
    ) -> tuple[Float[Array, "*batch"], SolverStats]:
        """The log density in nats, and what the solver did."""
        flow = self.with_settings(**settings)
        event = flow.prior.event_shape
        if x.shape[-len(event) :] != event or x.ndim > len(event) + 1:
            raise ValueError(
                f"log_prob: `x` must have shape {event} or (n, {', '.join(map(str, event))}), got "
                f"{x.shape}."
            )
        batch = x.reshape(-1, *event)
        keys = None if key is None else jax.random.split(key, batch.shape[0])
        result = _in_chunks(_pull, flow, (batch, keys))
        return jax.tree.map(lambda leaf: leaf.reshape(x.shape[: x.ndim - len(event)]), result)

    def with_settings(self, **settings: Any) -> "Flow":
        """The same flow with other solver settings as its defaults.

        **Raises:** `ValueError` for an unknown setting.
        """
        known = ("solver", "rtol", "atol", "steps", "divergence", "chunk_size")
        for name in settings:
            if name not in known:
                raise ValueError(f"unknown solver setting {name!r}; there are {', '.join(known)}.")
        current = {name: getattr(self, name) for name in known}
        return Flow(self.prior, self.network, **{**current, **settings})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the flow to one file, atomically. [`hiflow.load`][hiflow.load] reads it.

        **Raises:** `TypeError` if a component holds something that can't be stored, such as a lambda.
        """
        _disk.save(self, path)


def load(path: str | os.PathLike[str]) -> Flow:
    """Read a flow that [`Flow.save`][hiflow.Flow.save] wrote.

    **Raises:** `FileNotFoundError`; `ValueError` if the file is truncated, corrupt or holds something
    else; `ImportError` if it needs a package that isn't installed.
    """
    flow = _disk.load(path)
    if not isinstance(flow, Flow):
        raise ValueError(f"{path}: holds a {type(flow).__name__}, not a Flow.")
    return flow


def _prior_samples(flow: Flow, key: PRNGKeyArray, n: int) -> Float[Array, "n *event"]:
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n}.")
    return jax.vmap(flow.prior.sample)(jax.random.split(key, n))


def _push(flow: Flow, x0: Float[Array, "*event"]) -> tuple[Array, SolverStats]:
    return _solve(flow, lambda t, x, flow: flow.network(t, x), x0, 0.0, 1.0)


def _push_with_density(flow: Flow, start: Any) -> tuple[Array, Array, SolverStats]:
    x0, key = start
    (x1, gained), stats = _solve_with_divergence(flow, x0, key, 0.0, 1.0)
    return x1, flow.prior.log_prob(x0) - jnp.mean(gained), _with_probes(stats, gained)


def _pull(flow: Flow, end: Any) -> tuple[Array, SolverStats]:
    x1, key = end
    (x0, gained), stats = _solve_with_divergence(flow, flow.prior.group.project(x1), key, 1.0, 0.0)
    return flow.prior.log_prob(x0) + jnp.mean(gained), _with_probes(stats, gained)


def _with_probes(stats: SolverStats, gained: Float[Array, "*estimates"]) -> SolverStats:
    """The statistics, with the variance of the mean of the probes' integrals."""
    if gained.ndim == 0:
        return stats
    variance = jnp.var(gained, ddof=1) / gained.size if gained.size > 1 else jnp.full((), jnp.nan)
    return SolverStats(stats.nfe, stats.accepted, stats.rejected, variance)


def _solve_with_divergence(
    flow: Flow, x: Array, key: PRNGKeyArray | None, start: float, end: float
) -> tuple[tuple[Array, Array], SolverStats]:
    drawn = flow.divergence.draw(key, x)

    def field(t: Array, state: tuple[Array, Array], flow: Flow) -> tuple[Array, Array]:
        return flow.divergence(flow.network, t, state[0], drawn)

    shape = jax.eval_shape(
        lambda: flow.divergence(flow.network, jnp.zeros((), x.dtype), x, drawn)[1]
    )
    return _solve(flow, field, (x, jnp.zeros(shape.shape, x.dtype)), start, end)


def _solve(flow: Flow, field: Any, state: Any, start: float, end: float) -> tuple[Any, SolverStats]:
    adaptive = flow.steps is None
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        flow.solver,
        start,
        end,
        # An explicit first step: diffrax's own choice may cost evaluations that it doesn't report.
        dt0=(end - start) / (flow.steps or 100),
        y0=state,
        args=flow,
        stepsize_controller=(
            diffrax.PIDController(flow.rtol, flow.atol) if adaptive else diffrax.ConstantStepSize()
        ),
        max_steps=4096 if adaptive else flow.steps,
    )
    assert solution.ys is not None
    final = jax.tree.map(lambda leaf: leaf[0], solution.ys)
    return final, _count(flow.solver, solution.stats)


def _count(solver: diffrax.AbstractSolver, stats: dict[str, Any]) -> SolverStats:
    steps = stats["num_steps"]
    if isinstance(solver, diffrax.AbstractERK):
        tableau: Any = solver.tableau
        stages, reuses = tableau.num_stages, tableau.fsal
    else:
        stages, reuses = 1, False
    # First-same-as-last: the last stage of a step is the first of the next, also after a rejection.
    evaluations = 1 + steps * (stages - 1) if reuses else steps * stages
    accepted, rejected = stats["num_accepted_steps"], stats["num_rejected_steps"]
    return SolverStats(evaluations, accepted, rejected, jnp.zeros(()))


def _in_chunks(function: Any, flow: Flow, inputs: Any) -> Any:
    n = jax.tree.leaves(inputs)[0].shape[0]
    chunks = -(-n // flow.chunk_size)
    return _run_chunks(function, flow, inputs, n, chunks)


@eqx.filter_jit
def _run_chunks(function: Any, flow: Flow, inputs: Any, n: int, chunks: int) -> Any:
    batched = jax.vmap(lambda one: function(flow, one))
    if chunks == 1:
        return batched(shard_batch(inputs))
    size = -(-n // chunks)
    index = jnp.minimum(jnp.arange(chunks * size), n - 1).reshape(chunks, size)
    results = jax.lax.map(
        lambda rows: batched(shard_batch(jax.tree.map(lambda leaf: leaf[rows], inputs))), index
    )
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:n], results)
