"""The exact assignment that permutations and couplings share."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


def assignment(cost: Float[Array, "n n"]) -> Int[Array, " n"]:
    """The column that goes with every row at the least total cost."""
    rows, columns = optax.assignment.hungarian_algorithm(jax.lax.stop_gradient(cost))
    return jnp.zeros_like(columns).at[rows].set(columns)
