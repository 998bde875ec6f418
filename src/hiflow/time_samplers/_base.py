"""What a time sampler is: how the times of a training batch are drawn."""

import abc
from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._summaries import Component
from hiflow.registry import Registry


class AbstractTimeSampler(Component):
    """Draws the times of a batch, with the weights that keep the loss's expectation over uniform
    times: $E_q[w(t) f(t)] = \\int_0^1 f$; or, if it has an `objective`
    ([`SupportsObjective`][hiflow.time_samplers.SupportsObjective]), over times of that weight.

    **Example:**

    ```pycon
    >>> class Halves(hf.time_samplers.AbstractTimeSampler):
    ...     def __call__(self, key, size):
    ...         t = jax.random.uniform(key, (size,))
    ...         return jnp.where(jnp.arange(size) % 2, t, 1 - t), jnp.ones(size)  # antithetic
    ...
    >>> found = hf.testing.check_time_sampler(Halves())  # its laws hold
    ```
    """

    @abc.abstractmethod
    def __call__(
        self, key: PRNGKeyArray, size: int
    ) -> tuple[Float[Array, " size"], Float[Array, " size"]]:
        """`size` times in [0, 1) and their weights."""


registry = Registry("time_samplers", AbstractTimeSampler)


@runtime_checkable
class SupportsObjective(Protocol):
    """A sampler whose loss isn't the mean over uniform times: $E_q[w(t) f(t)] = \\int_0^1 \\omega f$.

    **Example:**

    ```pycon
    >>> late = hf.time_samplers.LateTimes(share=0.5)
    >>> isinstance(late, hf.time_samplers.SupportsObjective)
    True
    >>> late.objective(jnp.array([0.0, 0.9]))  # how much these times count
    Array([0.5723824, 1.223824 ], dtype=float32)
    ```
    """

    def objective(self, t: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """$\\omega(t)$, of mean 1."""
        ...

    @property
    def loss(self) -> str:
        """The loss in words, for reports."""
        ...


def loss_of(sampler: AbstractTimeSampler) -> str:
    """Which loss is minimised with a sampler, in words.

    **Example:**

    ```pycon
    >>> hf.time_samplers.loss_of(hf.time_samplers.Stratified())
    '∫ E‖v − u‖² dt'
    ```
    """
    return sampler.loss if isinstance(sampler, SupportsObjective) else "∫ E‖v − u‖² dt"
