"""What a time sampler is: how the times of a training batch are drawn."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow.registry import Registry


class AbstractTimeSampler(eqx.Module):
    """Draws the times of a batch, with the weights that keep the loss's expectation over uniform
    times: $E_q[w(t) f(t)] = \\int_0^1 f$."""

    @abc.abstractmethod
    def __call__(
        self, key: PRNGKeyArray, size: int
    ) -> tuple[Float[Array, " size"], Float[Array, " size"]]:
        """`size` times in [0, 1) and their weights."""


registry = Registry("time_samplers", AbstractTimeSampler)
