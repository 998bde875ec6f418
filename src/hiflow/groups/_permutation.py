"""Permutations of identical particles."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hiflow.groups._assignment import assignment
from hiflow.groups._base import AbstractDiscreteGroup, registry


def _as_species(value: object) -> tuple[int | float | str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise ValueError(
            f"Permutation: `species` must be a sequence with one label per particle, got {value!r}. "
            'Write species=("O", "H", "H"), or None if all particles are alike.'
        )
    return tuple(np.asarray(value).tolist())


@registry.register("permutation")
class Permutation(AbstractDiscreteGroup[Array]):
    r"""$(gx)_i = x_{g(i)}$ along the first axis of an event; an element is an integer permutation.

    **Arguments:**

    - `species`: a label per particle (any numbers or words); only particles with equal labels are
      swapped. `None` if all are alike.

    **Raises:** `ValueError` if an event has no axis, or not as many particles as `species`.

    **Example:**

    ```pycon
    >>> alike = hf.groups.Permutation(species=("O", "H", "H"))  # only the hydrogens are alike
    >>> x = jnp.array([[0.0], [1.0], [2.0]])
    >>> alike.act(jnp.array([0, 2, 1]), x)
    Array([[0.],
           [2.],
           [1.]], dtype=float32)
    >>> alike.align(x, jnp.array([[0.0], [2.1], [0.9]]))
    Array([0, 2, 1], dtype=int32)
    ```
    """

    species: tuple[int | float | str, ...] | None = eqx.field(
        static=True, converter=_as_species, default=None
    )

    def sample(self, key: PRNGKeyArray, event_shape: tuple[int, ...]) -> Int[Array, " particles"]:
        kinds = jnp.asarray(self.kinds(event_shape))
        # Sorted by species and then at random, the particles of one species fill their own places.
        places = jnp.argsort(kinds, stable=True)
        shuffled = jax.random.permutation(key, kinds.shape[0])
        return (
            jnp.zeros_like(shuffled)
            .at[places]
            .set(shuffled[jnp.argsort(kinds[shuffled], stable=True)])
        )

    def act(
        self, g: Int[Array, " particles"], x: Float[Array, "particles *rest"]
    ) -> Float[Array, "particles *rest"]:
        self.kinds(x.shape)
        return x[g]

    def inverse(self, g: Int[Array, " particles"]) -> Int[Array, " particles"]:
        return jnp.argsort(g)

    def compose(
        self, g: Int[Array, " particles"], h: Int[Array, " particles"]
    ) -> Int[Array, " particles"]:
        return h[g]

    def align(
        self, x: Float[Array, "particles *rest"], y: Float[Array, "particles *rest"]
    ) -> Int[Array, " particles"]:
        r"""The permutation with the least $\sum_i \|x_{g(i)} - y_i\|^2$: an exact assignment."""
        kinds = self.kinds(x.shape)
        # |a - b|² without the squares, which no permutation changes.
        a, b = (z.reshape(z.shape[0], -1) for z in (y, x))
        cost = -jnp.matmul(a, b.T, precision="highest")
        unlike = kinds[:, None] != kinds[None, :]
        cost = cost + jnp.where(unlike, 1 + 2 * cost.shape[0] * jnp.max(jnp.abs(cost)), 0)
        return assignment(cost)

    def kinds(self, event_shape: tuple[int, ...]) -> Int[np.ndarray, " particles"]:
        """The species of every particle as an integer."""
        if not event_shape:
            raise ValueError(
                "Permutation acts on the first axis of an event, but the event has none: use "
                "Trivial() for scalar events."
            )
        if self.species is None:
            return np.zeros(event_shape[0], int)
        if len(self.species) != event_shape[0]:
            raise ValueError(
                f"Permutation: `species` names {len(self.species)} particles and the event of shape "
                f"{event_shape} has {event_shape[0]}. Give one label per particle."
            )
        labels = list(dict.fromkeys(self.species))
        return np.asarray([labels.index(label) for label in self.species])
