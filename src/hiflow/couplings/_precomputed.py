"""A pairing of a whole, small data set with prior samples, made once before training."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._distances import squared_distances
from hiflow.couplings._base import AbstractCoupling, registry
from hiflow.priors import AbstractPrior

_LARGEST = 8_192


@registry.register("precomputed")
class Precomputed(AbstractCoupling):
    r"""Pairs the whole data set at once: `per_point` prior samples for every data point, by another
    coupling as one large batch. In training a data point meets one of its own samples.

    With few data points this is far nearer to optimal transport than batches are, and costs nothing
    during training. The prior is seen through `per_point` times the data set's size of samples only,
    so don't choose that small. `fit` calls `prepare`; in a batch a data point is recognised by being
    the nearest one of the set.

    **Arguments:**

    - `inner`: the coupling of the whole set.
    - `per_point`: prior samples for every data point.

    **Raises:** `ValueError` if `per_point` is below 1, if it is called before `prepare`, or if
    data points times `per_point` are more than 8,192, where an assignment takes minutes.

    **Example:**

    ```pycon
    >>> once = hf.couplings.Precomputed("minibatch-ot", per_point=8)
    >>> flow = hf.fit("mlp", "optimal-transport", points[:20], prior="normal", key=key,
    ...               steps=10, coupling=once, progress=False)  # pairs all before training
    ```
    """

    inner: AbstractCoupling = eqx.field(converter=registry.make, default="minibatch-ot")
    per_point: int = eqx.field(static=True, default=64)
    points: Float[Array, "n *event"] | None = None
    pool: Float[Array, "n per_point *event"] | None = None

    redraws: ClassVar[bool] = True

    def __check_init__(self):
        if self.per_point < 1:
            raise ValueError(f"Precomputed: `per_point` must be at least 1, got {self.per_point}.")

    def prepare(
        self, prior: AbstractPrior, points: Float[Array, "n *event"], key: PRNGKeyArray
    ) -> "Precomputed":
        """The coupling with its pairs."""
        n, m = points.shape[0], self.per_point
        if n * m > _LARGEST:
            raise ValueError(
                f"Precomputed: {n:,} data points × per_point={m} are more than {_LARGEST:,} pairs. It "
                "is for small sets: lower `per_point`, or use 'minibatch-ot'."
            )
        k_prior, k_pair = jax.random.split(key)
        x0 = jax.vmap(prior.sample)(jax.random.split(k_prior, n * m)).astype(points.dtype)
        x1 = jnp.repeat(points, m, axis=0)
        paired, _ = jax.jit(lambda a, b: self.inner(a, b, k_pair))(x0, x1)
        return Precomputed(self.inner, m, points, paired.reshape(n, m, *points.shape[1:]))

    @property
    def group(self) -> Any:
        """The group that the inner coupling moves samples by, if it does."""
        return getattr(self.inner, "group", None)

    def __call__(
        self, x0: Float[Array, "batch *event"], x1: Float[Array, "batch *event"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "batch *event"], Float[Array, "batch *event"]]:
        if self.points is None or self.pool is None:
            raise ValueError(
                "Precomputed: there are no pairs yet. `fit` makes them; elsewhere call "
                "coupling.prepare(prior, points, key) first and use what it returns."
            )
        row = jnp.argmin(squared_distances(x1, self.points), axis=1)
        column = jax.random.randint(key, row.shape, 0, self.per_point)
        return self.pool[row, column], x1
