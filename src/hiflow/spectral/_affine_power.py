"""The spectral map of six numbers, of which the others are special cases: what can be learned."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._checks import as_scalar, check_at_least, check_positive
from hiflow.spectral._base import AbstractSpectralMap, registry


@registry.register("affine-power")
class AffinePower(AbstractSpectralMap):
    r"""$k(\lambda) = f + a\,\sigma(s)^p$ with $s = \max(\lambda_+ + \gamma\lambda_-, \ell)$ and
    $\sigma(s) = s/(1 + bs)$: never falls where $\lambda \ge 0$ grows, nor where $|\lambda|$ does.

    Its six numbers can be [learned][hiflow.learn_path]. The maps that are fixed are among its values
    ($\lambda_-$ is $-\lambda$ of negative curvature):

    | map | $f$ | $a$ | $p$ | $\gamma$ | $\ell$ | $b$ |
    |---|---|---|---|---|---|---|
    | `Constant(c)` | $c$ | 0 | | | | |
    | `Absolute(h)` | $h$ | 1 | 1 | 1 | 0 | 0 |
    | `Clamped(c)` | 0 | 1 | 1 | 0 | $c$ | 0 |
    | `Shifted(μ)`, where $\lambda \ge 0$ | $\mu$ | 1 | 1 | 0 | 0 | 0 |
    | `Power(p, c)` | 0 | 1 | $p$ | 1 | $c$ | 0 |
    | `Saturating(κ, h)`, $\kappa \ge 0$ | 1 | $\kappa/h$ | 1 | 0 | 0 | $1/h$ |

    **Arguments:**

    - `floor`: $f$, what soft modes get. `slope`: $a$. `exponent`: $p$.
    - `negative`: $\gamma$, how much of a negative eigenvalue counts: nothing at 0, all at 1.
    - `least`: $\ell$, what smaller ones are taken for.
    - `saturation`: $b$, over which stiff modes no longer differ: $\sigma < 1/b$.

    **Raises:** `ValueError` for a negative number, or if $f$, $a$ and $\ell$ leave a value of 0.

    **Example:**

    ```pycon
    >>> root = hf.spectral.AffinePower(floor=1.0, slope=2.0, exponent=0.5, negative=0.0)
    >>> root(jnp.array([-5.0, 0.0, 100.0]))  # 1 + 2 √λ₊
    Array([ 1.,  1., 21.], dtype=float32)
    ```
    """

    floor: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    slope: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    exponent: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    negative: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    least: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.0)
    saturation: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.0)

    def __check_init__(self):
        for name in ("floor", "slope", "exponent", "negative", "least", "saturation"):
            check_at_least(self, name, 0.0)
        check_positive(self, "lower_bound")

    def __call__(self, eigenvalues: Float[Array, " k"]) -> Float[Array, " k"]:
        size = jnp.where(eigenvalues < 0, -self.negative * eigenvalues, eigenvalues)
        return self.floor + self.slope * self._power(jnp.maximum(size, self.least))

    @property
    def lower_bound(self) -> Float[Array, ""]:
        return self.floor + self.slope * self._power(self.least)

    def _power(self, s: Float[Array, "*k"]) -> Float[Array, "*k"]:
        r"""$\sigma(s)^p$. At $s = 0$, where a power below 1 is infinitely steep, it counts as flat."""
        soft = s <= 0
        whole = jnp.where(soft, 1.0, s)
        return jnp.where(
            soft, 0.0**self.exponent, (whole / (1 + self.saturation * whole)) ** self.exponent
        )
