"""What an energy is: a scalar function of one event, invariant under a group."""

import abc
from typing import Protocol, runtime_checkable

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.groups import AbstractGroup


class AbstractEnergy(eqx.Module):
    r"""A potential $V$, in units of kT: the target density is $\propto e^{-V}$.

    Subclasses give `event_shape` (a static field or property), `group` (under which $V$ is
    invariant) and `__call__`. A subclass with a closed-form Hessian also has a method
    `hessian(x)` ([`SupportsHessian`][hiflow.energies.SupportsHessian]); one whose entropy is
    known has `entropy()` ([`SupportsEntropy`][hiflow.energies.SupportsEntropy]), one whose density can
    be sampled exactly has `sample(key)` ([`SupportsSampling`][hiflow.energies.SupportsSampling]), and
    a sum of squares has `residuals(x)` ([`SupportsResiduals`][hiflow.energies.SupportsResiduals]).

    Laws (`hiflow.testing.check_energy`): finite value and gradient, $V(gx) = V(x)$, and
    `hessian` equal to automatic differentiation where it exists.
    """

    event_shape: eqx.AbstractVar[tuple[int, ...]]
    group: eqx.AbstractVar[AbstractGroup]

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        """$V(x)$ for one event."""


@runtime_checkable
class SupportsHessian(Protocol):
    """An energy with a closed-form Hessian, as `hiflow.hessians.Analytic` needs."""

    def hessian(self, x: Float[Array, "*event"]) -> Float[Array, "dim dim"]:
        r"""$\nabla^2 V(x)$ over the flattened event."""
        ...


@runtime_checkable
class SupportsResiduals(Protocol):
    r"""An energy that is a sum of squares, $V(x) = \tfrac12\|r(x)\|^2$ up to a constant, as
    `hiflow.hessians.GaussNewton` needs."""

    def residuals(self, x: Float[Array, "*event"]) -> Float[Array, " m"]:
        """$r(x)$."""
        ...


@runtime_checkable
class SupportsEntropy(Protocol):
    """An energy whose density has a known entropy: the floor of any model's NLL on its samples."""

    def entropy(self) -> tuple[float, float] | None:
        """Lower and upper bound, in nats, with respect to Lebesgue measure on the image of
        `group.project`; `None` where it isn't known for these parameters."""
        ...


@runtime_checkable
class SupportsSampling(Protocol):
    """An energy whose density can be sampled exactly, without a Markov chain."""

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        """One exact sample."""
        ...
