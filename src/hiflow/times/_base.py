"""What a time transform is: it fits an infinite relaxation into the unit interval."""

import abc
from typing import TYPE_CHECKING, cast

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._summaries import Component
from hiflow.registry import Registry


class AbstractTimeTransform(Component):
    r"""$t \mapsto \tau$ with $\tau(0) = 0$, increasing, and $\tau(1) = \infty$ unless it has a cutoff.

    A subclass gives `remaining`, $e^{-\tau(t)}$, which stays finite where $\tau$ doesn't: 1 at
    $t = 0$ and exactly `cutoff` at $t = 1$. With a cutoff $\varepsilon > 0$ a mode of rate $a$ keeps
    $\varepsilon^a$ of its initial deviation, and rates at or under ½ are allowed.

    Laws (`hiflow.testing.check_time_transform`): the ends just named, monotony, `decay`
    $= e^{-a\tau}$, and a finite derivative on $[0, 1]$ for rates of at least 1.

    **Example:**

    ```pycon
    >>> class Smoothstep(hf.times.AbstractTimeTransform):
    ...     cutoff = jnp.asarray(0.0)
    ...     def remaining(self, t):
    ...         return (1 - t) ** 2 * (1 + 2 * t)
    ...
    >>> found = hf.testing.check_time_transform(Smoothstep())  # its laws hold
    >>> path = hf.paths.Langevin(ring, time=Smoothstep())
    ```
    """

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        cutoff = cast(Float[Array, ""], ...)
    else:
        cutoff: eqx.AbstractVar[Float[Array, ""]]

    @abc.abstractmethod
    def remaining(self, t: Float[Array, ""]) -> Float[Array, ""]:
        r"""$e^{-\tau(t)}$, the deviation that a mode of rate 1 has left."""

    def tau(self, t: Float[Array, ""]) -> Float[Array, ""]:
        r"""$\tau(t)$."""
        return -jnp.log(self.remaining(t))

    def decay(self, t: Float[Array, ""], rate: Float[Array, " modes"]) -> Float[Array, " modes"]:
        r"""$e^{-a\,\tau(t)}$ for every rate $a$, without forming $\tau$."""
        return self.remaining(t) ** rate


registry = Registry("times", AbstractTimeTransform)
