"""Optimal transport between the prior samples and the data points of a batch."""

from typing import ClassVar

from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow._distances import squared_distances
from hiflow.couplings._base import AbstractCoupling, kept_apart, registry
from hiflow.groups._assignment import assignment


@registry.register("minibatch-ot")
class MinibatchOT(AbstractCoupling):
    r"""The permutation of `x0` with the least $\sum_i \|x_{0,i} - x_{1,i}\|^2$: straighter flows.

    An exact [`assignment`][hiflow.couplings.assignment] of cost $O(n^3)$ in the batch. Batches are
    finite, so this is optimal transport in the limit of large batches only; the marginals are kept at
    every size (Pooladian et al. 2023, arXiv:2304.14772; Tong et al. 2023,
    arXiv:2302.00482).

    **Example:**

    ```pycon
    >>> x0 = jax.random.normal(key, (8, 2))
    >>> paired, x1 = hf.couplings.MinibatchOT()(x0, points[:8], key)
    >>> bool(((paired - x1) ** 2).sum() < ((x0 - x1) ** 2).sum())
    True
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key, steps=10,
    ...               coupling="minibatch-ot", progress=False)
    ```
    """

    in_background: ClassVar[bool] = True

    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        return x0[assignment(squared_distances(x1, x0))], x1

    def within(
        self,
        x0: Float[Array, "batch *event"],
        x1: Float[Array, "batch *event"],
        key: PRNGKeyArray,
        kinds: Int[Array, " batch"],
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        """The best permutation within kinds."""
        return x0[assignment(kept_apart(squared_distances(x1, x0), kinds))], x1
