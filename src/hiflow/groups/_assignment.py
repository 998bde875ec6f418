"""The exact assignment that permutations and couplings share."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from hiflow._on_host import on_host


def assignment(cost: Float[Array, "n n"]) -> Int[Array, " n"]:
    """The column that goes with every row at the least total cost, exactly.

    On a CPU by SciPy's shortest augmenting paths (Crouse 2016, doi:10.1109/TAES.2016.140952), called
    back from compiled code, a whole batch at once under `vmap`; elsewhere by Optax's Hungarian
    algorithm, which stays on the device.

    **Raises:** at run time, on a CPU, if a cost isn't finite.

    **Example:**

    ```pycon
    >>> cost = jnp.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]])
    >>> hf.couplings.assignment(cost)
    Array([1, 0, 2], dtype=int32)
    ```
    """
    cost = jax.lax.stop_gradient(cost)
    return jax.lax.platform_dependent(cost, cpu=_called_back, default=_compiled)


def _called_back(cost: Float[Array, "n n"]) -> Int[Array, " n"]:
    like = jax.ShapeDtypeStruct(cost.shape[:1], jnp.int32)
    return on_host(_assigned, (like,), cost)[0]


def _assigned(cost: Float[np.ndarray, "*batch n n"]) -> tuple[Int[np.ndarray, "*batch n"]]:
    return (assignments(cost),)


def _compiled(cost: Float[Array, "n n"]) -> Int[Array, " n"]:
    rows, columns = optax.assignment.hungarian_algorithm(cost)
    return jnp.zeros(cost.shape[:1], jnp.int32).at[rows].set(columns.astype(jnp.int32))


def assignments(cost: Float[np.ndarray, "*batch n n"]) -> Int[np.ndarray, "*batch n"]:
    """`assignment` of every matrix, in NumPy.

    **Raises:** `ValueError` if a cost isn't finite.
    """
    # Imported for those who assign: it takes a quarter of a second.
    from scipy.optimize import linear_sum_assignment

    matrices = cost.astype(np.float64).reshape(-1, *cost.shape[-2:])
    if not np.isfinite(matrices).all():
        raise ValueError(
            "assignment: a cost isn't finite. Look at the points that are paired: their squared "
            "distances must be finite numbers."
        )
    # What a row or a column costs at the least changes no choice; without it the search is half as long.
    matrices -= matrices.min(axis=2, keepdims=True)
    matrices -= matrices.min(axis=1, keepdims=True)
    found = matrices.argmin(axis=2).astype(np.int32)
    # Where the columns nearest to the rows all differ, nothing is left to search for.
    clash = np.sort(found, axis=1) != np.arange(cost.shape[-1])
    for k in np.flatnonzero(clash.any(axis=1)):
        found[k] = linear_sum_assignment(matrices[k])[1]
    return found.reshape(cost.shape[:-1])
