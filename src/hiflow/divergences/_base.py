"""What a divergence is: how that of a velocity field is got along a solution."""

import abc

from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._summaries import Component
from hiflow.networks import AbstractVelocityField
from hiflow.registry import Registry


class AbstractDivergence(Component):
    """Evaluates a velocity and its divergence together.

    `draw` is called once per sample, before the solve: noise that changed inside the right-hand side
    would make the integrand discontinuous, and adaptive solvers would thrash.

    **Example:**

    ```pycon
    >>> class ByJacobian(hf.divergences.AbstractDivergence):
    ...     def draw(self, key, x):
    ...         return None  # no noise
    ...     def __call__(self, field, t, x, drawn):
    ...         jacobian = jax.jacobian(lambda x: field(t, x).ravel())(x)
    ...         return field(t, x), jnp.trace(jacobian.reshape(x.size, x.size))
    ...
    >>> found = hf.testing.check_divergence(ByJacobian())  # its laws hold
    ```
    """

    @abc.abstractmethod
    def draw(self, key: PRNGKeyArray | None, x: Float[Array, "*event"]) -> Array | None:
        """The random numbers that one sample's whole solve uses, or `None`."""

    @abc.abstractmethod
    def __call__(
        self,
        field: AbstractVelocityField,
        t: Float[Array, ""],
        x: Float[Array, "*event"],
        drawn: Array | None,
    ) -> tuple[Float[Array, "*event"], Float[Array, "*estimates"]]:
        r"""$v(t, x)$ and $\nabla\cdot v(t, x)$, or independent estimates of it whose mean is meant:
        their spread tells how far the mean may be off."""


registry = Registry("divergences", AbstractDivergence)
