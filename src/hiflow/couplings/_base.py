"""What a coupling is: how the prior samples of a batch are paired with its data points."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray


class AbstractCoupling(eqx.Module):
    """Pairs a batch of prior samples with a batch of data points.

    `x1` keeps its order, because each data point carries its anchor: a coupling reorders (or moves by
    a symmetry of the prior) `x0` only, so the data's marginal is kept exactly.
    """

    @abc.abstractmethod
    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        """The paired batch."""
