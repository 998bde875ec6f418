r"""The exact divergence of a perceptron, from its weights and its activations' slopes.

With weights $W_1 \dots W_{n+1}$, the slopes $S_i$ of hidden layer $i$ and $G = W_1 W_{n+1}$, the same
for every event, it is $\operatorname{tr}(S_n W_n S_{n-1} \cdots W_2 S_1 G)$. With two hidden layers
that is the bilinear form $s_2^\top (W_2 \circ G^\top) s_1$, as cheap as the velocity; with more, $h$
columns go through the layers between instead of $D$.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def trace(
    weights: Sequence[Float[Array, "_ _"]], slopes: Sequence[Float[Array, " width"]]
) -> Float[Array, ""]:
    r"""$\operatorname{tr}(W_{n+1} S_n W_n \cdots S_1 W_1)$."""
    first, *middle, last = weights
    around = jnp.matmul(first, last, precision="highest")
    if not middle:
        return jnp.sum(slopes[0] * jnp.diag(around))
    through = middle[0]
    for weight, slope in zip(middle[1:], slopes[1:-1], strict=True):
        through = jnp.matmul(weight * slope, through, precision="highest")
    return jnp.einsum("i,ij,ji,j->", slopes[-1], through, around, slopes[0], precision="highest")


def is_cheaper(dim: int, width: int, depth: int) -> bool:
    """Whether the trace takes fewer products than D columns through all layers."""
    return (depth - 2) * width < (depth - 1) * dim or depth < 3


@functools.cache
def is_pointwise(activation: Callable[[Array], Array]) -> bool:
    """Whether a function of arrays acts on every entry alone."""
    with jax.ensure_compile_time_eval():
        z = jnp.asarray([-1.3, -0.2, 0.4, 1.7])
        alone = jnp.stack([activation(one[None])[0] for one in z])
        return bool(np.allclose(activation(z), alone, atol=1e-5))
