"""A plain network of one vector, such as `equinox.nn.MLP`, as a velocity field."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow import groups
from hiflow._checks import as_shape, check_event
from hiflow.groups import AbstractGroup, Translation, Trivial
from hiflow.networks._base import AbstractVelocityField
from hiflow.registry import Named


class FromVector(AbstractVelocityField):
    r"""$v(t, x) = P\,f([Px, t])$ of a network $f$ that takes one vector, the flattened event with the
    time behind it, and gives one of the event's size.

    A smooth activation makes likelihoods that the solver can follow.

    **Arguments:**

    - `network`: from `(D + 1,)` to `(D,)`; its arrays of floats are trained.
    - `shape`: the event's shape, of D numbers. An integer means `(shape,)`.
    - `projects_on`: the group onto whose free directions the field projects what it gets and gives; the
      prior's, usually.

    **Raises:** `ValueError` for a network of other sizes.

    **Example:**

    ```pycon
    >>> import equinox as eqx
    >>> mlp = eqx.nn.MLP(3, 2, width_size=64, depth=3, activation=jax.nn.silu, key=key)
    >>> network = hf.networks.FromVector(mlp, (2,))  # two coordinates and the time to two
    >>> flow = hf.fit(network, "optimal-transport", points, prior="normal", key=key, steps=20,
    ...               progress=False)
    ```
    """

    network: Callable[..., Any]
    projects_on: AbstractGroup
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        network: Callable[..., Any],
        shape: int | Iterable[int],
        projects_on: Named[AbstractGroup] | None = None,
    ):
        self.network, self.event_shape = _storable(network), as_shape(shape)
        self.projects_on = groups.registry.make("trivial" if projects_on is None else projects_on)

    def __check_init__(self):
        size = math.prod(self.event_shape)
        vector = jax.ShapeDtypeStruct((size + 1,), jnp.result_type(float))
        wanted = f"must map {size + 1} numbers, an event of {size} and the time, to {size}"
        try:
            got = eqx.filter_eval_shape(self.network, vector)
        except Exception as error:  # Whatever a network makes of a vector of another length.
            first = str(error).partition("\n")[0][:120]
            raise ValueError(f"FromVector: `network` {wanted}; it fails: {first}.") from error
        if getattr(got, "shape", None) != (size,):
            raise ValueError(f"FromVector: `network` {wanted}; it gives {got}.")

    @property
    def group(self) -> AbstractGroup:
        """What the field is equivariant under: translations, if it projects them out."""
        removed = self.projects_on.null_modes(jnp.zeros(self.event_shape)).shape[1]
        return Translation() if removed else Trivial()

    def __call__(self, t: Float[Array, ""], x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        check_event(x, self.event_shape, owner="FromVector")
        y = jnp.append(self.projects_on.project(x).reshape(-1), t)
        return self.projects_on.project(self.network(y).reshape(self.event_shape))


# An MLP of Equinox ends in it by default, and no file could say its name.
_UNNAMED = inspect.signature(eqx.nn.MLP.__init__).parameters["final_activation"].default


def _storable(network: Callable[..., Any]) -> Callable[..., Any]:
    """The network, ending in an identity that has a name."""
    if getattr(network, "final_activation", None) is not _UNNAMED:
        return network
    return eqx.tree_at(lambda mlp: mlp.final_activation, network, jax.nn.identity)
