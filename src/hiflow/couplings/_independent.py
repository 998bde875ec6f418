"""The independent coupling."""

from typing import ClassVar

from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.couplings._base import AbstractCoupling, registry


@registry.register("independent")
class Independent(AbstractCoupling):
    """Prior samples and data points are paired as they come.

    **Example:**

    ```pycon
    >>> coupling = hf.couplings.Independent()
    >>> x0 = jax.random.normal(key, (8, 2))
    >>> paired, x1 = coupling(x0, points[:8], key)
    >>> bool((paired == x0).all())
    True
    ```
    """

    exchanges: ClassVar[bool] = False

    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        return x0, x1
