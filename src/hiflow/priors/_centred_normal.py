"""The isotropic Gaussian on particle configurations whose mean is the origin."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._checks import as_scalar, check_event, check_positive
from hiflow.groups import Permutation, Product, Rotation, Translation
from hiflow.priors._base import AbstractPrior, registry


@registry.register("centred-normal")
class CentredNormal(AbstractPrior):
    r"""$N(0, \sigma^2 P)$, with $P$ the projector that removes the mean over particles.

    It lives on a subspace of $d' = (n - 1)\,d$ dimensions; its log density is with respect to
    Lebesgue measure there, $-\|Px\|^2/2\sigma^2 - \tfrac{d'}{2}\log 2\pi\sigma^2$, and doesn't
    depend on where the centre of mass of `x` is. Invariant under translations, rotations,
    reflections and permutations.

    **Arguments:**

    - `particles`: $n$, at least 2.
    - `dim`: $d$, the dimension of space.
    - `scale`: the standard deviation $\sigma$ of each free direction, a number.

    **Raises:** `ValueError` for fewer than two particles, no dimension, or a scale that isn't
    positive.

    **Example:**

    ```pycon
    >>> prior = hf.priors.CentredNormal(particles=4, dim=3)
    >>> x = prior.sample(key)
    >>> x.shape, bool(jnp.allclose(x.mean(0), 0, atol=1e-6))
    ((4, 3), True)
    >>> prior.log_prob(x) == prior.log_prob(x + 5.0)  # 9 dimensions: the centre doesn't count
    Array(True, dtype=bool)
    ```
    """

    particles: int = eqx.field(static=True)
    dim: int = eqx.field(static=True)
    scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def __check_init__(self):
        if self.particles < 2 or self.dim < 1:
            raise ValueError(
                "CentredNormal: needs at least 2 `particles` in at least 1 `dim`, got "
                f"particles={self.particles}, dim={self.dim}."
            )
        check_positive(self, "scale")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(particles, dim)`."""
        return (self.particles, self.dim)

    @property
    def group(self) -> Product:
        """Permutations, rotations with reflections, translations."""
        return Product((Permutation(), Rotation(self.dim, reflections=True), Translation()))

    def sample(self, key: PRNGKeyArray) -> Float[Array, "particles dim"]:
        x = jax.random.normal(key, self.event_shape, self.scale.dtype)
        return self.scale * (x - x.mean(0))

    def log_prob(self, x: Float[Array, "particles dim"]) -> Float[Array, ""]:
        check_event(x, self.event_shape, owner="CentredNormal.log_prob")
        free = (self.particles - 1) * self.dim
        quadratic = jnp.sum(((x - x.mean(0)) / self.scale) ** 2)
        return -quadratic / 2 - free * (jnp.log(2 * jnp.pi) / 2 + jnp.log(self.scale))
