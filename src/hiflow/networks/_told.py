"""Fields that are told their condition: of time and event alone, as solvers take them."""

from typing import cast

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PyTree

from hiflow._checks import as_scalar, check_finite, converter
from hiflow.groups import AbstractGroup
from hiflow.networks._base import AbstractVelocityField, SupportsDivergence
from hiflow.networks._conditioned import SupportsConditions, conditions_of
from hiflow.networks._conditions import AbstractConditions


class _AbstractOuter(AbstractVelocityField):
    """A field made of another one: of its events, and with its symmetry."""

    network: eqx.AbstractVar[AbstractVelocityField]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The network's."""
        return self.network.event_shape

    @property
    def group(self) -> AbstractGroup:
        """The network's."""
        return self.network.group


class Guided(_AbstractOuter):
    r"""Classifier-free guidance: $v_w(t, x, c) = v(t, x) + w\,(v(t, x, c) - v(t, x))$, with the field
    $v(t, x)$ that training with dropped conditions taught (Ho and Salimans 2022, arXiv:2207.12598).

    $w = 1$ is the field itself, $w = 0$ that of no condition; larger ones exaggerate what the condition
    makes of it. The density of a flow with this field is the one that its own ODE makes of the prior,
    and log densities are exactly of that. It is **not** proportional to $p(x)^{1-w} p(x|c)^w$: tilting
    densities and taking them back to the prior don't commute.

    **Arguments:**

    - `network`: a field of conditions.
    - `weight`: $w$.

    **Raises:** `ValueError` for a network that takes no conditions, or was never without one.

    **Example:**

    ```pycon
    >>> labels = (points[:, 0] > 0).astype(int)
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", condition=labels,
    ...               condition_dropout=0.1, key=key, steps=20, progress=False)
    >>> network = hf.networks.Guided(flow.network, 2.0)
    >>> strong = hf.Flow(flow.prior, network)  # as flow.guided(2.0)
    >>> strong.sample(key, 5, condition=1).shape
    (5, 2)
    ```
    """

    network: AbstractVelocityField
    weight: Float[Array, ""] = eqx.field(converter=as_scalar)

    def __init__(self, network: AbstractVelocityField, weight: ArrayLike):
        self.network, self.weight = network, converter("weight", as_scalar)(weight)

    def __check_init__(self):
        check_finite(self, "weight")
        if isinstance(self.network, Guided) or conditions_of(self.network) is None:
            raise ValueError(
                f"Guided: `network` ({type(self.network).__name__}) must be one of conditions: build it "
                "with `classes` or `condition_size`."
            )

    @property
    def conditions(self) -> AbstractConditions | None:
        """The network's."""
        return conditions_of(self.network)

    def __call__(
        self, t: Float[Array, ""], x: Float[Array, "*event"], condition: PyTree = None
    ) -> Float[Array, "*event"]:
        return told(self, condition)(t, x)


def told(network: AbstractVelocityField, condition: PyTree) -> AbstractVelocityField:
    """The field under a condition; a network that takes none as it is.

    **Example:**

    ```pycon
    >>> network = hf.networks.MLP(2, classes=3, key=key)
    >>> second = hf.networks.told(network, 1)
    >>> x, t = jnp.ones(2), jnp.asarray(0.5)
    >>> bool((second(t, x) == network(t, x, 1)).all())
    True
    ```
    """
    if conditions_of(network) is None:
        return network
    terms: tuple[tuple[ArrayLike, PyTree], ...] = ((1, condition),)
    inner = network
    if isinstance(network, Guided):
        inner, w = network.network, network.weight
        terms = ((1 - w, None), (w, condition))
    cls = _ToldExactly if isinstance(inner, SupportsDivergence) else _Told
    return cls(inner, terms)


class _AbstractTold(_AbstractOuter):
    r"""$\sum_k w_k\,v(t, x, c_k)$."""

    terms: eqx.AbstractVar[tuple[tuple[ArrayLike, PyTree], ...]]

    def __call__(self, t: Float[Array, ""], x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        network = cast(SupportsConditions, self.network)
        return _weighted([(w, network(t, x, c)) for w, c in self.terms])


class _Told(_AbstractTold):
    network: AbstractVelocityField
    terms: tuple[tuple[ArrayLike, PyTree], ...]


class _ToldExactly(_AbstractTold):
    network: AbstractVelocityField
    terms: tuple[tuple[ArrayLike, PyTree], ...]

    def velocity_and_divergence(
        self, t: Float[Array, ""], x: Float[Array, "*event"]
    ) -> tuple[Float[Array, "*event"], Float[Array, ""]]:
        r"""$v(t, x)$ and $\nabla\cdot v(t, x)$, linear in the terms."""
        exactly = getattr(self.network, "velocity_and_divergence")  # noqa: B009  of a protocol
        found = [(w, exactly(t, x, c)) for w, c in self.terms]
        return _weighted([(w, v) for w, (v, _) in found]), _weighted(
            [(w, d) for w, (_, d) in found]
        )


def _weighted(terms: list[tuple[ArrayLike, Array]]) -> Array:
    """One term alone has weight 1."""
    if len(terms) == 1:
        return terms[0][1]
    (w_free, free), (w_told, heard) = terms
    return jnp.asarray(w_free) * free + jnp.asarray(w_told) * heard
