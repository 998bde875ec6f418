"""A funnel: one coordinate sets how wide all others are, so that curvature differs between points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._checks import as_scalar, check_event, check_positive
from hiflow.energies._base import AbstractEnergy, registry
from hiflow.groups import Trivial


@registry.register("funnel")
class Funnel(AbstractEnergy):
    r"""$x_1 \sim N(0, s^2)$, and given it $x_2, \dots, x_D \sim N(0, e^{x_1})$, each on its own:

    $$V(x) = \frac{x_1^2}{2s^2} + \frac{e^{-x_1}}{2}\sum_{i \ge 2} x_i^2 + \frac{D - 1}{2} x_1
      + \log s + \frac D2 \log 2\pi$$

    normalised, in units of kT (Neal, Slice sampling, Annals of Statistics 31, 2003, section 8, with
    $D = 10$ and $s = 3$). Posteriors of hierarchical models look like this.

    **Arguments:**

    - `dim`: $D$, at least 2.
    - `scale`: $s$.

    **Raises:** `ValueError` for less than two dimensions or a scale that isn't positive and finite.

    **Example:**

    ```pycon
    >>> energy = hf.energies.Funnel(dim=3, scale=1.0)
    >>> stiff, soft = jnp.array([-2.0, 0.0, 0.0]), jnp.array([2.0, 0.0, 0.0])
    >>> energy.hessian(stiff).diagonal().round(2), energy.hessian(soft).diagonal().round(2)
    (Array([1.  , 7.39, 7.39], dtype=float32), Array([1.  , 0.14, 0.14], dtype=float32))
    >>> round(energy.entropy()[0], 3)
    4.257
    ```
    """

    dim: int = eqx.field(static=True, default=10)
    scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=3.0)

    def __check_init__(self):
        if type(self.dim) is not int or self.dim < 2:
            raise ValueError(
                f"Funnel: `dim` must be a whole number of at least 2, got {self.dim!r}; one coordinate "
                "sets the width of the others."
            )
        check_positive(self, "scale")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(dim,)`."""
        return (self.dim,)

    @property
    def group(self) -> Trivial:
        """None is declared."""
        return Trivial()

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="Funnel")
        D, s = self.dim, self.scale
        across = jnp.exp(-x[0]) * jnp.sum(x[1:] ** 2) / 2
        constant = jnp.log(s) + D * jnp.log(2 * jnp.pi) / 2
        return x[0] ** 2 / (2 * s**2) + across + (D - 1) * x[0] / 2 + constant

    def hessian(self, x: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        r"""$\nabla^2 V(x)$: an arrow, of the first row and column and the diagonal."""
        check_event(x, self.event_shape, owner="Funnel.hessian")
        stiffness = jnp.exp(-x[0])
        along = 1 / self.scale**2 + stiffness * jnp.sum(x[1:] ** 2) / 2
        H = stiffness * jnp.eye(self.dim, dtype=x.dtype)
        H = H.at[0, 1:].set(-stiffness * x[1:]).at[1:, 0].set(-stiffness * x[1:])
        return H.at[0, 0].set(along)

    def sample(self, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One exact sample."""
        z = jax.random.normal(key, self.event_shape, self.scale.dtype)
        first = self.scale * z[0]
        return z.at[0].set(first).at[1:].multiply(jnp.exp(first / 2))

    def entropy(self) -> tuple[float, float]:
        r"""$\tfrac D2 (1 + \log 2\pi) + \log s$, in nats: the others' widths average out."""
        value = self.dim * (1 + np.log(2 * np.pi)) / 2 + float(np.log(self.scale))
        return float(value), float(value)
