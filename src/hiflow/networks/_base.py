"""What a velocity field is: the trainable network of a flow."""

import abc
from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float

from hiflow._disk import let_functions_be_pickled
from hiflow.groups import AbstractSymmetric
from hiflow.registry import Registry

# A network holds an activation, and a flow holds a network.
let_functions_be_pickled()


class AbstractVelocityField(AbstractSymmetric):
    r"""$v_\theta(t, x)$, for one event.

    Laws (`hiflow.testing.check_velocity_field`): finite, equivariant under `group`'s linear part
    and invariant under its translations, with its output in the image of `group.project`. A field
    with a cheaper exact divergence than D JVPs has a method `velocity_and_divergence`
    ([`SupportsDivergence`][hiflow.networks.SupportsDivergence]).

    **Example:**

    ```pycon
    >>> import equinox as eqx
    >>> class Residual(hf.networks.AbstractVelocityField):
    ...     mlp: eqx.nn.MLP
    ...     event_shape = (2,)
    ...     group = hf.groups.Trivial()
    ...     def __call__(self, t, x):
    ...         return self.mlp(jnp.append(x, t)) - x
    ...
    >>> network = Residual(eqx.nn.MLP(3, 2, 32, 2, jax.nn.silu, key=key))
    >>> found = hf.testing.check_velocity_field(network)  # its laws hold
    ```
    """

    @abc.abstractmethod
    def __call__(self, t: Float[Array, ""], x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """The velocity at one time and event."""


# More isn't meant: the weights of one such layer fill a graphics card.
_MOST = {"width": 65_536, "depth": 1_000}


def check_sizes(owner: str, **sizes: int) -> None:
    """Raise `ValueError` for a size of a network that can't be, or that no machine has room for."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{owner}: `{name}` must be at least 1, got {size}.")
        if size > _MOST.get(name, size):
            raise ValueError(f"{owner}: `{name}` must be at most {_MOST[name]:,}, got {size:,}.")


def advice(value: object) -> str:
    """For whoever gives a network of another library."""
    if isinstance(value, type) or not callable(value):
        return ""
    return (
        " Wrap a plain network, from [x, t] as one vector to the velocity: "
        "hiflow.networks.FromVector(network, shape)."
    )


registry = Registry("networks", AbstractVelocityField, advice)


@runtime_checkable
class SupportsDivergence(Protocol):
    """A field that knows its exact divergence.

    **Example:**

    ```pycon
    >>> isinstance(flow.network, hf.networks.SupportsDivergence)
    True
    >>> mlp = hf.networks.MLP(2, key=key)
    >>> u, divergence = mlp.velocity_and_divergence(jnp.asarray(0.5), points[0])
    >>> u.shape, divergence.shape
    ((2,), ())
    ```
    """

    def velocity_and_divergence(
        self, t: Float[Array, ""], x: Float[Array, "*event"]
    ) -> tuple[Float[Array, "*event"], Float[Array, ""]]:
        r"""$v(t, x)$ and $\nabla\cdot v(t, x)$."""
        ...


@runtime_checkable
class SupportsComplaint(Protocol):
    """A field that can tell data on a scale which it doesn't resolve.

    **Example:**

    ```pycon
    >>> network = hf.networks.EGNN(4, 2, width=8, key=key)
    >>> isinstance(network, hf.networks.SupportsComplaint)
    True
    >>> far = 100 * jax.random.normal(key, (50, 4, 2))
    >>> isinstance(network.complaint(far), str)
    True
    ```
    """

    def complaint(self, points: Float[Array, "n *event"]) -> str | None:
        """What is wrong and what to do, or `None`; `fit` warns of it."""
        ...
