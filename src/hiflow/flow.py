"""A flow: prior, velocity field and solver, with samples and a normalised density."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from hiflow import _border, _carry, _disk
from hiflow._border import border
from hiflow._forks import refuse_fork
from hiflow._rows import (
    as_batch,
    as_conditions,
    check_batch,
    from_units,
    in_units,
    log_det,
    prior_samples,
)
from hiflow._summaries import numbers_in, parts_in_lines
from hiflow.networks import AbstractVelocityField, Guided, conditions_of
from hiflow.networks import registry as _networks
from hiflow.priors import AbstractPrior
from hiflow.priors import registry as _priors
from hiflow.priors._density import refuse_without_density
from hiflow.solver import Solver, SolverStats, as_solver
from hiflow.standardisation import Standardised


class Flow(eqx.Module):
    r"""The density that the ODE $\dot x = v_\theta(t, x)$ makes of the prior.

    Samples start at the prior and are carried to $t = 1$. The log density of $x$ is
    $\log p_0(x_0) - \int_0^1 \nabla\cdot v_\theta\,dt$ along the trajectory that ends in $x$, in
    nats, with respect to Lebesgue measure on the image of `prior.group.project` (for particles: the
    centred subspace). It is differentiable in `x` and in the network's parameters. From a prior that is
    known by its draws alone, as [`EmpiricalPrior`][hiflow.priors.EmpiricalPrior], there is none: what
    needs a log density is refused.

    A network of conditions makes it a density of $x$ given $c$: every method then takes `condition`, one
    for all samples or one for each, and a vector is differentiated too.

    **Arguments:**

    - `prior`, `network`: for the same events.
    - `solver`: a [`Solver`][hiflow.Solver], its method alone, or a table of its fields. Every method
      takes the fields as keywords too, and `solver` itself.
    - `units`: the coordinates that `prior` and `network` are for, if these aren't the data's own, as
      `fit(standardise=True)` has it: the ODE runs there, samples and densities are in the data's.
    - `settings`: fields of the solver.

    Compile methods by `equinox.filter_jit(flow.log_prob)`, or `jax.jit(lambda x: flow.log_prob(x))`:
    `jax.jit` itself takes no bound methods of objects that hold arrays.

    **Raises:** `ValueError` for components of other events, or a wrong setting.

    **Example:**

    ```pycon
    >>> network = hf.networks.MLP(2, width=32, key=key)
    >>> new = hf.Flow(hf.priors.Normal(2), network, rtol=1e-5)  # untrained; `fit` trains
    >>> x, log_p = new.sample_and_log_prob(key, 5)
    >>> x.shape, log_p.shape
    ((5, 2), (5,))
    >>> flow.trajectory(key, 5, times=[0.0, 0.5, 1.0]).shape  # of samples, on their way
    (5, 3, 2)
    >>> x0 = flow.pull(points)  # where in the prior the data come from
    >>> bool(jnp.allclose(flow.push(x0), points, atol=0.01))
    True
    ```
    """

    prior: AbstractPrior
    network: AbstractVelocityField
    solver: Solver
    units: Standardised | None = None

    @border(
        "Flow",
        prior=_border.instance_of(_priors),
        network=_border.instance_of(_networks),
    )
    def __init__(
        self,
        prior: AbstractPrior,
        network: AbstractVelocityField,
        solver: Solver | diffrax.AbstractSolver | str | Mapping[str, object] | None = None,
        *,
        units: Standardised | None = None,
        **settings: Any,
    ):
        self.prior, self.network = prior, network
        self.solver, self.units = as_solver(solver, **settings), units

    def __check_init__(self):
        if self.prior.event_shape != self.network.event_shape:
            raise ValueError(
                f"Flow: `prior` has event shape {self.prior.event_shape} and `network` "
                f"{self.network.event_shape}; build both for the same events."
            )

    def __repr__(self) -> str:
        head = f"Flow of events {self.prior.event_shape}, {numbers_in(self.network):,} parameters"
        return "\n".join([head, *parts_in_lines(self)])

    @border("sample", key=_border.key, size=_border.size, condition=_border.condition)
    def sample(
        self, key: PRNGKeyArray, size: int, *, condition: PyTree = None, **settings: Any
    ) -> Float[Array, "size *event"]:
        """`size` samples."""
        return self.sample_and_stats(key, size, condition=condition, **settings)[0]

    @border("sample", key=_border.key, size=_border.size, condition=_border.condition)
    def sample_and_stats(
        self, key: PRNGKeyArray, size: int, *, condition: PyTree = None, **settings: Any
    ) -> tuple[Float[Array, "size *event"], SolverStats]:
        """`size` samples and what the solver did."""
        flow = self.with_settings(**settings)
        conditions = as_conditions(flow, condition, size, "sample")
        z, stats = _carry.solved(_carry.ends, flow, (prior_samples(flow, key, size), conditions))
        return from_units(flow, z), stats

    @border("push", x0=_border.points, condition=_border.condition)
    def push(
        self, x0: Float[Array, "n *event"], *, condition: PyTree = None, **settings: Any
    ) -> Float[Array, "n *event"]:
        """Where the flow carries points of the prior: samples, if `x0` are samples of the prior. With
        `units`, `x0` are in the prior's, and what is returned is in the data's.

        **Raises:** `ValueError` if `x0` isn't a batch of events.
        """
        check_batch(self, x0, "push: `x0`")
        rows = x0, as_conditions(self, condition, x0.shape[0], "push")
        return from_units(self, _carry.solved(_carry.ends, self.with_settings(**settings), rows)[0])

    @border("pull", x=_border.points, condition=_border.condition)
    def pull(
        self, x: Float[Array, "n *event"], *, condition: PyTree = None, **settings: Any
    ) -> Float[Array, "n *event"]:
        """Where in the prior the flow brings points of the data from: the inverse of
        [`push`][hiflow.Flow.push], as near as the solver's tolerances. With `units`, `x` are in the
        data's, and what is returned is in the prior's.

        **Raises:** `ValueError` if `x` isn't a batch of events.
        """
        check_batch(self, x, "pull: `x`")
        rows = in_units(self, x), as_conditions(self, condition, x.shape[0], "pull")
        return _carry.solved(_carry.starts, self.with_settings(**settings), rows)[0]

    @border(
        "trajectory",
        key=_border.key,
        size=_border.size,
        times=_border.times,
        condition=_border.condition,
    )
    def trajectory(
        self,
        key: PRNGKeyArray,
        size: int,
        times: Sequence[float] | Float[Array, " times"],
        *,
        condition: PyTree = None,
        **settings: Any,
    ) -> Float[Array, "size times *event"]:
        r"""The samples of [`sample`][hiflow.Flow.sample] with the same key, on their way: $x(t)$ at each
        of the times, in the data's units, by the method's own interpolation between the solver's steps
        (diffrax's dense output).

        **Arguments:**

        - `times`: in $[0, 1]$, none before its predecessor.

        **Raises:** `ValueError` for other times.
        """
        flow = self.with_settings(**settings)
        conditions = as_conditions(flow, condition, size, "trajectory")
        z = _carry.along(flow, jnp.asarray(times), prior_samples(flow, key, size), conditions)
        return z if flow.units is None else jax.vmap(jax.vmap(flow.units.inverse))(z)

    @border("velocity", t=_border.times_or_one, x=_border.points, condition=_border.condition)
    def velocity(
        self,
        t: float | Float[Array, "*batch_or_one"],
        x: Float[Array, "*batch_event"],
        *,
        condition: PyTree = None,
    ) -> Float[Array, "*batch_event"]:
        r"""$\dot x$ at time $t$ of one event or of a batch of events, in the data's units per unit of
        time: $S\,v_\theta(t, S^{-1}(x - b))$ with `units`.

        **Arguments:**

        - `t`: in $[0, 1]$; one time, or one per event of the batch.

        **Raises:** `ValueError` if `x` has neither the event's shape nor that of a batch of events, or
        for times that don't go with it.
        """
        batch, lead = as_batch(self, x, "velocity: `x`")
        t = jnp.asarray(t)
        if t.shape not in ((), lead):
            raise ValueError(
                f"velocity: `t` must be one time or have the shape {lead}, one per event, got {t.shape}."
            )
        t = jnp.broadcast_to(t, batch.shape[:1]).astype(batch.dtype)
        conditions = as_conditions(self, condition, batch.shape[0], "velocity")
        u = _carry.velocity(self, t, in_units(self, batch), conditions)
        return (u if self.units is None else self.units.scale * u).reshape(x.shape)

    @border("sample_and_log_prob", key=_border.key, size=_border.size, condition=_border.condition)
    def sample_and_log_prob(
        self, key: PRNGKeyArray, size: int, *, condition: PyTree = None, **settings: Any
    ) -> tuple[Float[Array, "size *event"], Float[Array, " size"]]:
        """`size` samples and their log densities, from one solve."""
        return self.sample_log_prob_and_stats(key, size, condition=condition, **settings)[:2]

    @border(
        "sample_log_prob_and_stats", key=_border.key, size=_border.size, condition=_border.condition
    )
    def sample_log_prob_and_stats(
        self, key: PRNGKeyArray, size: int, *, condition: PyTree = None, **settings: Any
    ) -> tuple[Float[Array, "size *event"], Float[Array, " size"], SolverStats]:
        """`size` samples, their log densities and what the solver did."""
        refuse_without_density(self.prior, "sample_and_log_prob")
        flow = self.with_settings(**settings)
        key_prior, key_probes = jax.random.split(key)
        x0 = prior_samples(flow, key_prior, size)
        keys = jax.random.split(key_probes, size)
        rows = x0, keys, as_conditions(flow, condition, size, "sample_and_log_prob")
        (z, log_prob), stats = _carry.solved(_carry.ends_with_density, flow, rows)
        return from_units(flow, z), log_prob + log_det(flow), stats

    @border("log_prob", x=_border.points, key=_border.key_or_none, condition=_border.condition)
    def log_prob(
        self,
        x: Float[Array, "*batch_event"],
        *,
        key: PRNGKeyArray | None = None,
        condition: PyTree = None,
        **settings: Any,
    ) -> Float[Array, "*batch"]:
        """The log density in nats of one event or of a batch of events.

        **Raises:** `ValueError` if `x` has neither the event's shape nor that of a batch of events, or
        if the prior has no density.
        """
        return self.log_prob_and_stats(x, key=key, condition=condition, **settings)[0]

    @border("log_prob", x=_border.points, key=_border.key_or_none, condition=_border.condition)
    def log_prob_and_stats(
        self,
        x: Float[Array, "*batch_event"],
        *,
        key: PRNGKeyArray | None = None,
        condition: PyTree = None,
        **settings: Any,
    ) -> tuple[Float[Array, "*batch"], SolverStats]:
        """The log density in nats, and what the solver did."""
        refuse_without_density(self.prior, "log_prob")
        flow = self.with_settings(**settings)
        batch, lead = as_batch(flow, x, "log_prob: `x`")
        keys = None if key is None else jax.random.split(key, batch.shape[0])
        conditions = as_conditions(flow, condition, batch.shape[0], "log_prob")
        rows = in_units(flow, batch), keys, conditions
        log_prob, stats = _carry.solved(_carry.density, flow, rows)
        result = (log_prob + log_det(flow), stats)
        return jax.tree.map(lambda leaf: leaf.reshape(lead), result)

    def with_settings(self, **settings: Any) -> "Flow":
        """The same flow with other solver settings as its defaults.

        **Raises:** `ValueError` for an unknown setting or a wrong value.
        """
        refuse_fork()
        solver = self.solver.changed(**settings)
        return Flow(self.prior, self.network, solver, units=self.units)

    def guided(self, weight: ArrayLike) -> "Flow":
        r"""The flow with the field $v(t, x) + w\,(v(t, x, c) - v(t, x))$ of classifier-free guidance,
        $w$ being `weight`: see [`Guided`][hiflow.networks.Guided], and what its density is.

        **Raises:** `ValueError` if the flow is guided already, or was trained without
        `condition_dropout`.
        """
        conditions = conditions_of(self.network)
        if isinstance(self.network, Guided):
            raise ValueError(
                "guided: the flow is guided already. Take the one that it was made of."
            )
        if conditions is None or not bool(conditions.taught):
            raise ValueError(
                "guided: the flow has no field of no condition, v(t, x). Train it with `condition` and "
                "`condition_dropout`, e.g. 0.1."
            )
        return Flow(self.prior, Guided(self.network, weight), self.solver, units=self.units)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the flow to one file, atomically. [`hiflow.load`][hiflow.load] reads it.

        **Raises:** `TypeError` if a component holds something that can't be stored, such as a lambda.
        """
        _disk.save(self, path)


def load(path: str | os.PathLike[str], *, trust: Sequence[str] = ()) -> Flow:
    """Read a flow that [`Flow.save`][hiflow.Flow.save] wrote.

    Reading a file of unknown origin is safe: see [what a file may do](../files.md).

    **Arguments:**

    - `trust`: packages of your own whose classes the file may hold, as `("my_package",)`. They are
      imported.

    **Raises:** `OSError` if it can't be opened; `ValueError` if the file is damaged, holds something
    else, or names classes of packages that are neither hiflow's, an installed plug-in's nor trusted;
    `ImportError` if a trusted package isn't installed.

    **Example:**

    ```pycon
    >>> flow.save("ring.flow")
    >>> again = hf.load("ring.flow")
    >>> bool((again.sample(key, 3) == flow.sample(key, 3)).all())
    True
    ```
    """
    flow = _disk.load(path, trust)
    if not isinstance(flow, Flow):
        raise ValueError(f"{path}: holds a {type(flow).__name__}, not a Flow.")
    _check_velocity(flow, path)
    return flow


def _check_velocity(flow: Flow, path: str | os.PathLike[str]) -> None:
    """Raise unless a network that doesn't say how it was made takes and gives events."""
    if hasattr(flow.network, "constructor_arguments"):
        return
    t, x = (jax.ShapeDtypeStruct(shape, float) for shape in ((), flow.prior.event_shape))
    try:
        v = eqx.filter_eval_shape(flow.network, t, x)
    except Exception as error:  # Whatever arrays that don't fit together make of it.
        raise ValueError(f"{path}: the network's parts don't fit together ({error}).") from error
    if v.shape != x.shape or not jnp.issubdtype(v.dtype, jnp.floating):
        raise ValueError(f"{path}: the network gives {v.dtype}{list(v.shape)} for an event.")
