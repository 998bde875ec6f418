"""What a flow's methods are given and give, as rows: events in its coordinates, and conditions."""

from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow._checks import is_concrete
from hiflow.networks import AbstractVelocityField, conditions_of
from hiflow.networks._conditioned import rows_of
from hiflow.priors import AbstractPrior
from hiflow.standardisation import Standardised


@runtime_checkable
class Rows(Protocol):
    """A flow."""

    @property
    def prior(self) -> AbstractPrior:
        """Where it starts."""
        ...

    @property
    def network(self) -> AbstractVelocityField:
        """What carries it."""
        ...

    @property
    def units(self) -> Standardised | None:
        """The coordinates that it runs in."""
        ...


def check_batch(flow: Rows, x: Array, what: str) -> None:
    """Raise unless `x` is a batch of events."""
    event = flow.prior.event_shape
    if x.shape[1:] != event:
        raise ValueError(
            f"{what} must have shape (n, {', '.join(map(str, event))}), got {x.shape}."
        )


def as_batch(flow: Rows, x: Array, what: str) -> tuple[Array, tuple[int, ...]]:
    """One event or a batch of them as a batch, and the shape that results are to have."""
    event = flow.prior.event_shape
    first = x.ndim - len(event)  # Of an event's axes, which may be none.
    if first not in (0, 1) or x.shape[first:] != event:
        raise ValueError(
            f"{what} must have shape {event} or (n, {', '.join(map(str, event))}), got {x.shape}."
        )
    return x.reshape(-1, *event), x.shape[:first]


def as_conditions(flow: Rows, condition: PyTree, size: int, owner: str) -> PyTree:
    """A condition for each of `size` samples; `None` for a network that takes none, or has learned to go
    without.

    **Raises:** `ValueError` for a condition that the network doesn't take, or one that is missing.
    """
    conditions = conditions_of(flow.network)
    if conditions is None:
        if condition is None:
            return None
        raise ValueError(
            f"{owner}: the flow takes no `condition`. Train one that does: fit(..., condition=...). Of "
            "samples that have conditions pass `samples.untold()`."
        )
    if condition is not None:
        return rows_of(conditions, condition, size, f"{owner}: `condition`")
    if is_concrete(conditions.taught) and not bool(conditions.taught):
        raise ValueError(
            f"{owner}: the flow is one of conditions, and `condition` is missing: pass "
            f"{conditions.meaning}. Without one it has no meaning, unless it was trained with "
            "`condition_dropout`."
        )
    return None


def prior_samples(flow: Rows, key: PRNGKeyArray, size: int) -> Float[Array, "size *event"]:
    """As many samples of the prior."""
    if size < 1:
        raise ValueError(f"`size` must be at least 1, got {size}.")
    return jax.vmap(flow.prior.sample)(jax.random.split(key, size))


def in_units(flow: Rows, x: Float[Array, "n *event"]) -> Float[Array, "n *event"]:
    """Points of the data in the coordinates that the ODE runs in."""
    return x if flow.units is None else jax.vmap(flow.units)(x)


def from_units(flow: Rows, z: Float[Array, "n *event"]) -> Float[Array, "n *event"]:
    """Back in the data's coordinates."""
    return z if flow.units is None else jax.vmap(flow.units.inverse)(z)


def log_det(flow: Rows) -> Float[Array, ""]:
    """What takes log densities in those coordinates to the data's."""
    if flow.units is None:
        return jnp.zeros(())
    return flow.units.log_det(jnp.zeros(flow.prior.event_shape), flow.prior.group)
