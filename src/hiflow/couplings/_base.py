"""What a coupling is: how the prior samples of a batch are paired with its data points."""

import abc
from typing import ClassVar, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow._summaries import Component
from hiflow.priors import AbstractPrior
from hiflow.registry import Registry


class AbstractCoupling(Component):
    """Pairs a batch of prior samples with a batch of data points.

    `x1` keeps its order, because each data point carries its anchor: a coupling reorders `x0` or moves
    it by a symmetry, so the data's marginal is kept exactly. The prior's is kept too, in one of two
    senses. A coupling that reorders keeps it as it is (a batch at a time). One that moves `x0` by
    elements of a group keeps the law of its *orbit*: that suffices for a prior that is invariant and a
    network that is equivariant under the group, and `fit` refuses others.

    A coupling that moves samples names that group as its field `group`.

    **Example:**

    ```pycon
    >>> class Sorted(hf.couplings.AbstractCoupling):  # along the first coordinate
    ...     def __call__(self, x0, x1, key):
    ...         ranks = jnp.argsort(jnp.argsort(x1[:, 0]))
    ...         return x0[jnp.argsort(x0[:, 0])[ranks]], x1
    ...
    >>> x0 = jax.random.normal(key, (8, 2))
    >>> paired, _ = Sorted()(x0, points[:8], key)
    >>> bool((jnp.argsort(paired[:, 0]) == jnp.argsort(points[:8, 0])).all())
    True
    ```
    """

    in_background: ClassVar[bool] = False
    """Whether `fit` pairs coming batches on the CPU, in a thread of its own, while the device trains.
    For work that a GPU does slowly, such as assignments."""

    exchanges: ClassVar[bool] = True
    """Whether a data point may get the prior sample of another. Then the prior samples of the points
    under one condition aren't samples of the prior: conditional flows need
    [`SupportsKinds`][hiflow.couplings.SupportsKinds]."""

    redraws: ClassVar[bool] = False
    """Whether `x0` is replaced by other draws from the prior instead of being reordered."""

    @abc.abstractmethod
    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        """The paired batch."""


registry = Registry("couplings", AbstractCoupling)


@runtime_checkable
class SupportsKinds(Protocol):
    r"""A coupling that can pair within kinds alone: then $p(x_0|c)$ is the prior for every kind $c$, a
    batch at a time (conditional optimal transport, Chemseddine et al. 2024, arXiv:2403.18705; Kerrigan
    et al. 2024, arXiv:2404.04240).

    **Example:**

    ```pycon
    >>> coupling = hf.couplings.MinibatchOT()
    >>> isinstance(coupling, hf.couplings.SupportsKinds)
    True
    >>> x0, kinds = jax.random.normal(key, (8, 2)), jnp.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> paired, _ = coupling.within(x0, points[:8], key, kinds)  # exchanged within each kind
    ```
    """

    def within(
        self,
        x0: Float[Array, "batch *event"],
        x1: Float[Array, "batch *event"],
        key: PRNGKeyArray,
        kinds: Int[Array, " batch"],
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        """The paired batch; only points of one kind have exchanged prior samples."""
        ...


def kept_apart(cost: Float[Array, "n n"], kinds: Int[Array, " n"] | None) -> Float[Array, "n n"]:
    """The costs of an assignment with those between kinds above any within."""
    if kinds is None:
        return cost
    apart = kinds[:, None] != kinds
    return jnp.where(apart, (cost.shape[0] + 1) * (cost.max() + 1), cost)


@runtime_checkable
class SupportsPreparation(Protocol):
    """A coupling that looks at the whole data set once, before training.

    **Example:**

    ```pycon
    >>> once = hf.couplings.Precomputed("minibatch-ot", per_point=8)
    >>> isinstance(once, hf.couplings.SupportsPreparation)
    True
    >>> ready = once.prepare(hf.priors.Normal(2), points[:20], key)
    >>> ready.pool.shape
    (20, 8, 2)
    ```
    """

    def prepare(
        self, prior: AbstractPrior, points: Float[Array, "n *event"], key: PRNGKeyArray
    ) -> "AbstractCoupling":
        """The coupling that `fit` trains with."""
        ...
