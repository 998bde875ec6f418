"""A spectral map of one's own."""

from functools import partial

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

import hiflow as hf


class Logarithmic(hf.spectral.AbstractSpectralMap):
    r"""As rates: $a(\lambda) = 1 + \log(1 + \lambda_+/h)$, stiff modes faster, but never by much.

    **Arguments:**

    - `stiffness`: $h$, where the gain sets in.
    """

    stiffness: Float[Array, ""] = eqx.field(
        converter=partial(jnp.asarray, dtype=float), default=100.0
    )

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        return 1 + jnp.log1p(jnp.maximum(eigenvalues, 0) / self.stiffness)

    @property
    def lower_bound(self) -> Float[Array, ""]:
        """1."""
        return jnp.asarray(1.0)
