"""How the times of a training batch are drawn: uniform, stratified, or with more near the end."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._checks import as_scalar, check_below, check_positive
from hiflow.time_samplers._base import AbstractTimeSampler, registry


@registry.register("uniform")
class Uniform(AbstractTimeSampler):
    """Independent uniform times.

    **Example:**

    ```pycon
    >>> t, weight = hf.time_samplers.Uniform()(key, 4)
    >>> t.shape, weight
    ((4,), Array([1., 1., 1., 1.], dtype=float32))
    ```
    """

    def __call__(
        self, key: PRNGKeyArray, size: int
    ) -> tuple[Float[Array, " size"], Float[Array, " size"]]:
        return before_one(jax.random.uniform(key, (size,))), jnp.ones(size)


@registry.register("stratified")
class Stratified(AbstractTimeSampler):
    """One uniform time in each of `size` equal parts of [0, 1]: the same expectation, less variance.

    **Example:**

    ```pycon
    >>> t, weight = hf.time_samplers.Stratified()(key, 4)
    >>> jnp.floor(4 * jnp.sort(t))  # one in each quarter
    Array([0., 1., 2., 3.], dtype=float32)
    ```
    """

    def __call__(
        self, key: PRNGKeyArray, size: int
    ) -> tuple[Float[Array, " size"], Float[Array, " size"]]:
        times = (jnp.arange(size) + jax.random.uniform(key, (size,))) / size
        return before_one(times), jnp.ones(size)


@registry.register("importance")
class Importance(AbstractTimeSampler):
    r"""More times near $t = 1$: density $q(t) = p(1-t)^{p-1}$ for `power` $0 < p \le 1$, weights
    $1/q$, stratified. The weights keep the loss unbiased; they never exceed $1/p$.

    **Example:**

    ```pycon
    >>> t, weight = hf.time_samplers.Importance(power=0.5)(key, 1000)
    >>> (t > 0.9).mean().round(2)  # for 0.1 of uniform ones
    Array(0.32, dtype=float32)
    >>> (weight * t).mean().round(2)  # unbiased
    Array(0.5, dtype=float32)
    ```
    """

    power: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.5)

    def __check_init__(self):
        check_positive(self, "power")
        check_below(self, "power", 1.0, or_equal=True)

    def __call__(
        self, key: PRNGKeyArray, size: int
    ) -> tuple[Float[Array, " size"], Float[Array, " size"]]:
        uniform, _ = Stratified()(key, size)
        times = before_one(1 - (1 - uniform) ** (1 / self.power))
        left = 1 - times
        return times, left ** (1 - self.power) / self.power


def before_one(times: Float[Array, " size"]) -> Float[Array, " size"]:
    """Times that rounding has put at 1, where rates below one have no velocity, put just before it."""
    return jnp.minimum(times, 1 - jnp.finfo(times.dtype).epsneg)
