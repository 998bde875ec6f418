"""The plain network: a multilayer perceptron on the flattened event and the time."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow import groups
from hiflow._border import border
from hiflow._border import key as one_key
from hiflow._checks import as_shape, check_event
from hiflow.groups import AbstractGroup, Translation, Trivial
from hiflow.networks._base import AbstractVelocityField, check_sizes, registry
from hiflow.networks._conditioned import arguments_of, clock, clock_size, make_conditions
from hiflow.networks._conditions import AbstractConditions
from hiflow.networks._mlp_divergence import is_cheaper, is_pointwise, trace
from hiflow.registry import Named


@registry.register("mlp")
class MLP(AbstractVelocityField):
    r"""$v(t, x, c) = P\,\mathrm{mlp}(\text{features}(t, c), Px)$, of hidden layers of one width.

    The default activation is smooth (SiLU), because likelihoods need the network's divergence. $P$ is
    the projection of `projects_on`: with translations in that group the field is blind to them and
    stays on the centred subspace. Nothing else of it is built in: the `group` that this field is
    equivariant under is the translations alone, or trivial.

    **Arguments:**

    - `shape`: the event's shape; `(2,)` for points of the plane. An integer means `(shape,)`.
    - `width`: units per hidden layer.
    - `depth`: number of hidden layers.
    - `activation`: a smooth function of arrays, or the name of one in `jax.nn`.
    - `projects_on`: the group onto whose free directions the field projects what it gets and gives;
      the prior's, usually.
    - `classes`, `condition_size`: of the conditions, if there are any: how many labels, or the length of
      a vector.
    - `key`: for the initial weights.

    **Raises:** `ValueError` if a size isn't positive, or the activation's name is unknown.

    **Example:**

    ```pycon
    >>> network = hf.networks.MLP((2,), width=32, depth=2, key=key)
    >>> network(jnp.asarray(0.5), jnp.ones(2)).shape  # the velocity at t = 0.5
    (2,)
    >>> warm = hf.networks.MLP(2, condition_size=1, key=key)
    >>> warm(jnp.asarray(0.5), jnp.ones(2), jnp.asarray([1.3])).shape  # under a condition
    (2,)
    ```
    """

    layers: tuple[eqx.nn.Linear, ...]
    projects_on: AbstractGroup
    event_shape: tuple[int, ...] = eqx.field(static=True)
    activation: Callable[[Array], Array] = eqx.field(static=True)
    conditions: AbstractConditions | None

    @border("MLP", key=one_key)
    def __init__(
        self,
        shape: int | Iterable[int],
        width: int = 96,
        depth: int = 3,
        activation: Callable[[Array], Array] | str = "silu",
        projects_on: Named[AbstractGroup] | None = None,
        classes: int | None = None,
        condition_size: int | None = None,
        *,
        key: PRNGKeyArray,
    ):
        shape = as_shape(shape)
        check_sizes("MLP", shape=min(shape, default=1), width=width, depth=depth)
        dim = math.prod(shape)
        self.conditions = make_conditions("MLP", classes, condition_size, key)
        sizes = [dim + clock_size(self.conditions), *[width] * depth, dim]
        keys = jax.random.split(key, depth + 1)
        self.layers = tuple(
            eqx.nn.Linear(fan_in, fan_out, key=k)
            for fan_in, fan_out, k in zip(sizes[:-1], sizes[1:], keys, strict=True)
        )
        self.projects_on = groups.registry.make("trivial" if projects_on is None else projects_on)
        self.event_shape = shape
        self.activation = _as_activation(activation)

    def constructor_arguments(self) -> dict[str, Any]:
        """What it was made with, except for `key`."""
        return {
            "shape": self.event_shape,
            "width": self.layers[0].out_features,
            "depth": len(self.layers) - 1,
            "activation": self.activation,
            "projects_on": self.projects_on,
            **arguments_of(self.conditions),
        }

    @property
    def group(self) -> AbstractGroup:
        """What the field is equivariant under: translations, if it projects them out."""
        removed = self.projects_on.null_modes(jnp.zeros(self.event_shape)).shape[1]
        return Translation() if removed else Trivial()

    def __call__(
        self, t: Float[Array, ""], x: Float[Array, "*event"], condition: PyTree = None
    ) -> Float[Array, "*event"]:
        check_event(x, self.event_shape, owner="MLP")
        y = jnp.concatenate(
            [self.projects_on.project(x).reshape(-1), clock(t, self.conditions, condition)]
        )
        for layer in self.layers[:-1]:
            y = self.activation(layer(y))
        return self.projects_on.project(self.layers[-1](y).reshape(self.event_shape))

    def velocity_and_divergence(
        self, t: Float[Array, ""], x: Float[Array, "*event"], condition: PyTree = None
    ) -> tuple[Float[Array, "*event"], Float[Array, ""]]:
        r"""$v(t, x)$ and the exact $\nabla\cdot v(t, x)$."""
        check_event(x, self.event_shape, owner="MLP")
        width, depth = self.layers[0].weight.shape[0], len(self.layers) - 1
        if not is_pointwise(self.activation) or not is_cheaper(x.size, width, depth):
            return self._by_columns(t, x, condition)
        y = jnp.concatenate(
            [self.projects_on.project(x).reshape(-1), clock(t, self.conditions, condition)]
        )
        slopes = []
        for layer in self.layers[:-1]:
            z = layer(y)
            y, slope = jax.jvp(self.activation, (z,), (jnp.ones_like(z),))
            slopes.append(slope)
        velocity = self.projects_on.project(self.layers[-1](y).reshape(self.event_shape))
        # tr(P J P) = tr(P J): projecting what comes out is enough.
        last = self.layers[-1].weight.reshape(*self.event_shape, width)
        last = jax.vmap(self.projects_on.project, -1, -1)(last).reshape(x.size, width)
        weights = [layer.weight for layer in self.layers]
        return velocity, trace([weights[0][:, : x.size], *weights[1:-1], last], slopes)

    def _by_columns(
        self, t: Float[Array, ""], x: Float[Array, "*event"], condition: PyTree
    ) -> tuple[Float[Array, "*event"], Float[Array, ""]]:
        velocity, pull = jax.vjp(
            lambda y: self(t, y.reshape(x.shape), condition).ravel(), x.ravel()
        )
        (jacobian,) = jax.vmap(pull)(jnp.eye(x.size, dtype=x.dtype))
        return velocity.reshape(x.shape), jnp.trace(jacobian)


def _as_activation(activation: Callable[[Array], Array] | str) -> Callable[[Array], Array]:
    if not isinstance(activation, str):
        return activation
    function: Callable[[Array], Array] | None = getattr(jax.nn, activation, None)
    if function is None:
        raise ValueError(
            f"MLP: `activation` must be a function or the name of one in jax.nn, got "
            f"{activation!r}. Smooth ones are 'silu', 'softplus', 'gelu' and 'tanh'."
        )
    return function
