"""What an energy is: a scalar function of one event, invariant under a group."""

import abc
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow.energies._fitting import HeldOut
from hiflow.groups import AbstractSymmetric
from hiflow.registry import Registry


class AbstractEnergy(AbstractSymmetric):
    r"""A potential $V$, in units of kT: the target density is $\propto e^{-V}$.

    Subclasses give `event_shape` (a static field or property), `group` (under which $V$ is
    invariant) and `__call__`. A subclass with a closed-form Hessian also has a method
    `hessian(x)` ([`SupportsHessian`][hiflow.energies.SupportsHessian]); one whose entropy is
    known has `entropy()` ([`SupportsEntropy`][hiflow.energies.SupportsEntropy]), one whose density can
    be sampled exactly has `sample(key)` ([`SupportsSampling`][hiflow.energies.SupportsSampling]), and
    a sum of squares has `residuals(x)` ([`SupportsResiduals`][hiflow.energies.SupportsResiduals]). One
    that knows where chains may start and how they get over barriers has `start(key)` and `move(key, x)`
    ([`SupportsMoves`][hiflow.energies.SupportsMoves]). One
    that is learned from data has `fit` ([`SupportsFitting`][hiflow.energies.SupportsFitting]), and in
    many dimensions `low_rank_hessian(x)` ([`SupportsLowRank`][hiflow.energies.SupportsLowRank]) or
    `shared_spectra()` ([`SupportsSharedBasis`][hiflow.energies.SupportsSharedBasis]).

    Laws (`hiflow.testing.check_energy`): finite value and gradient, $V(gx) = V(x)$, and
    `hessian` equal to automatic differentiation where it exists.

    **Example:**

    ```pycon
    >>> class Banana(hf.energies.AbstractEnergy):
    ...     event_shape = (2,)
    ...     group = hf.groups.Trivial()
    ...     def __call__(self, x):
    ...         return x[0] ** 2 / 2 + 5 * (x[1] - x[0] ** 2) ** 2
    ...
    >>> Banana()(jnp.array([1.0, 1.0]))
    Array(0.5, dtype=float32)
    >>> path = hf.paths.Langevin(Banana())
    >>> found = hf.testing.check_energy(Banana())  # its laws hold
    ```
    """

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        """$V(x)$ for one event."""


registry = Registry("energies", AbstractEnergy)


@runtime_checkable
class SupportsHessian(Protocol):
    """An energy with a closed-form Hessian, as `hiflow.hessians.Analytic` needs.

    **Example:**

    ```pycon
    >>> isinstance(ring, hf.energies.SupportsHessian)  # so `Analytic` serves it
    True
    >>> path = hf.paths.Langevin(ring, hessian="analytic")
    ```
    """

    def hessian(self, x: Float[Array, "*event"]) -> Float[Array, "dim dim"]:
        r"""$\nabla^2 V(x)$ over the flattened event."""
        ...


@runtime_checkable
class SupportsResiduals(Protocol):
    r"""An energy that is a sum of squares, $V(x) = \tfrac12\|r(x)\|^2$ up to a constant, as
    `hiflow.hessians.GaussNewton` needs.

    **Example:**

    ```pycon
    >>> isinstance(ring, hf.energies.SupportsResiduals)
    True
    >>> r = ring.residuals(points[0])
    >>> bool(jnp.isclose(jnp.sum(r**2) / 2, ring(points[0])))
    True
    ```
    """

    def residuals(self, x: Float[Array, "*event"]) -> Float[Array, " m"]:
        """$r(x)$."""
        ...


@runtime_checkable
class SupportsEntropy(Protocol):
    """An energy whose density has a known entropy: the floor of any model's NLL on its samples.

    **Example:**

    ```pycon
    >>> isinstance(ring, hf.energies.SupportsEntropy)
    True
    >>> low, high = ring.entropy()  # bounds, in nats; here they agree
    >>> round(low, 3), low == high
    (1.424, True)
    ```
    """

    def entropy(self) -> tuple[float, float] | None:
        """Lower and upper bound, in nats, with respect to Lebesgue measure on the image of
        `group.project`; `None` where it isn't known for these parameters."""
        ...


@runtime_checkable
class SupportsSampling(Protocol):
    """An energy whose density can be sampled exactly, without a Markov chain.

    **Example:**

    ```pycon
    >>> moons = hf.energies.GaussianMixture.preset("two-moons")
    >>> isinstance(moons, hf.energies.SupportsSampling)
    True
    >>> isinstance(ring, hf.energies.SupportsSampling)
    False
    >>> moons.sample(key).shape
    (2,)
    ```
    """

    def sample(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        """One exact sample."""
        ...


@runtime_checkable
class SupportsMoves(Protocol):
    """An energy that knows where its Markov chains may start, and moves that take them where following
    the gradient seldom does: over a torsional barrier, from one well to another.

    **Example:**

    ```pycon
    >>> class Wells(hf.energies.AbstractEnergy):
    ...     event_shape = (2,)
    ...     group = hf.groups.Trivial()
    ...     def __call__(self, x):
    ...         return 20 * (x[0] ** 2 - 1) ** 2 + x[1] ** 2
    ...     def start(self, key):
    ...         return jnp.array([1.0, 0.0])
    ...     def move(self, key, x):  # over the barrier, half of the time
    ...         return jnp.where(jax.random.bernoulli(key), x * jnp.array([-1.0, 1.0]), x)
    ...
    >>> isinstance(Wells(), hf.energies.SupportsMoves)
    True
    ```
    """

    def start(self, key: PRNGKeyArray) -> Float[Array, "*event"]:
        """A point that a chain may start at, instead of a random one that was relaxed."""
        ...

    def move(self, key: PRNGKeyArray, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        r"""A point that is distributed as $e^{-V}$ if `x` is, as Metropolis' rule makes it;
        [`sample`][hiflow.data.sample] takes one after every Hamiltonian update, with `tempering` of the
        replica that samples $e^{-V}$ itself. [`check_energy`][hiflow.testing.check_energy] tests it."""
        ...


@runtime_checkable
class SupportsLowRank(Protocol):
    """An energy whose Hessian is a multiple of the identity plus a few dyads, as
    `hiflow.hessians.LowRank` needs.

    **Example:**

    ```pycon
    >>> fitted = hf.energies.FittedGaussian.fit(points, rank=1)
    >>> factors, values, rest = fitted.low_rank_hessian(points[0])
    >>> H = rest * jnp.eye(2) + factors * values @ factors.T
    >>> bool(jnp.allclose(H, fitted.hessian(points[0]), rtol=1e-3))
    True
    ```
    """

    def low_rank_hessian(
        self, x: Float[Array, "*event"]
    ) -> tuple[Float[Array, "dim m"], Float[Array, " m"], Float[Array, ""]]:
        r"""Factors $F$ as columns, values $v$ and rest $\rho$ of
        $\nabla^2 V(x) = \rho I + F\,\mathrm{diag}(v)\,F^\top$ over the flattened event. The factors
        needn't be orthonormal, nor independent."""
        ...


@runtime_checkable
class SupportsSharedBasis(Protocol):
    """An energy with a few precisions that all points share, as `hiflow.hessians.SharedBasis` needs.

    **Example:**

    ```pycon
    >>> mixture = hf.energies.FittedMixture.fit(points, components=3, rank=1, key=key)
    >>> isinstance(mixture, hf.energies.SupportsSharedBasis)
    True
    >>> spectra, vectors = mixture.shared_spectra()
    >>> vectors.shape, int(mixture.component(points[0])) in range(3)
    ((3, 2, 1), True)
    ```
    """

    def shared_spectra(self) -> tuple[Float[Array, "m modes"], Float[Array, "m dim k"]]:
        """Of each of the $m$ precisions, over the flattened event: $k$ eigenvalues and last the one of
        the rest, and $k$ orthonormal eigenvectors as columns."""
        ...

    def component(self, x: Float[Array, "*event"]) -> Int[Array, ""]:
        """Which of them `x` gets."""
        ...


@runtime_checkable
class SupportsFitting(Protocol):
    """An energy that is learned from data.

    **Example:**

    ```pycon
    >>> family = hf.energies.FittedGaussian
    >>> issubclass(family, hf.energies.SupportsFitting)
    True
    >>> blank = family.blank((2,), rank=1)  # of the right shapes, before there are data
    >>> jax.tree.structure(blank) == jax.tree.structure(family.fit(points, rank=1))
    True
    ```
    """

    @classmethod
    def fit(cls, points: Any, *, key: PRNGKeyArray, **settings: Any) -> AbstractEnergy:
        """The energy of these `(n, *event)` points."""
        ...

    @classmethod
    def blank(cls, shape: int | Iterable[int], **settings: Any) -> AbstractEnergy:
        """An energy of this event shape that has seen no data: with `fit`'s settings and their checks,
        but at no cost. What takes an energy can be checked with it before there are data."""
        ...

    def held_out(self, points: object) -> HeldOut:
        """How well it does on points that it was not fitted to."""
        ...
