"""Samplers that weigh late times more and leave it so: the loss has another objective."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hiflow._checks import as_scalar, check_below, check_positive
from hiflow.time_samplers._base import AbstractTimeSampler, registry
from hiflow.time_samplers._samplers import Stratified, before_one


@registry.register("late")
class LateTimes(AbstractTimeSampler):
    r"""A part of the times uniform, the rest uniform in $\log(1-t)$ down to a cutoff; all weights 1.

    The loss is then another one,

    $$\int_0^1 \omega(t)\,E\|v - u\|^2\,dt, \qquad
      \omega(t) = 1 - p + \frac{p}{(1-t)\ln(1/\epsilon)}\;[1 - t \ge \epsilon],$$

    with the same minimiser. It pays where late targets have little noise, as those of
    [`ForceControlled`][hiflow.targets.ForceControlled]; for plain targets it buys little.

    **Arguments:**

    - `share`: $p$, the part of late times.
    - `cutoff`: $\epsilon$; nearer to the end only the uniform part comes.

    **Raises:** `ValueError` for a `share` outside (0, 1] or a `cutoff` outside (0, 1).

    **Example:**

    ```pycon
    >>> late = hf.time_samplers.LateTimes(share=0.5)
    >>> flow = hf.fit("mlp", "optimal-transport", points, prior="normal", key=key, steps=10,
    ...               energy=ring, target="force", time_sampler=late, progress=False)
    ```
    """

    share: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.5)
    cutoff: Float[Array, ""] = eqx.field(converter=as_scalar, default=1e-3)

    def __check_init__(self):
        check_positive(self, "share", "cutoff")
        check_below(self, "share", 1.0, or_equal=True)
        check_below(self, "cutoff", 1.0)

    def __call__(
        self, key: PRNGKeyArray, size: int
    ) -> tuple[Float[Array, " size"], Float[Array, " size"]]:
        parts, ones = Stratified()(key, size)
        # What is left after the late part, and of each part how far one is in it.
        early = 1 - self.share
        uniform = parts / jnp.where(early > 0, early, 1)
        late = -jnp.expm1(jnp.log(self.cutoff) * (parts - early) / self.share)
        return before_one(jnp.where(parts < early, uniform, late)), ones

    def objective(self, t: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        r"""$\omega(t)$."""
        late = 1 / ((1 - t) * jnp.log(1 / self.cutoff))
        return 1 - self.share + self.share * jnp.where(1 - t >= self.cutoff, late, 0)

    @property
    def loss(self) -> str:
        """The objective in words."""
        return (
            f"∫ ω(t) E‖v − u‖² dt with ω = {1 - float(self.share):.3g} + {float(self.share):.3g} / "
            f"((1 − t) ln(1/ε)) for 1 − t ≥ ε = {float(self.cutoff):.3g}"
        )


@registry.register("likelihood")
class LikelihoodTimes(AbstractTimeSampler):
    r"""The loss weighted by $t/(1-t)$ up to a cutoff, with times uniform in $\log(1-t)$.

    $$\int_0^{1-\epsilon} \omega(t)\,E\|v - u\|^2\,dt, \qquad
      \omega(t) = \frac{t}{1-t} \Big/ \Big(\ln\tfrac1\epsilon - 1 + \epsilon\Big)$$

    has mean 1. For the optimal-transport path it is the weight by which the loss bounds the likelihood
    of the diffusion with the same marginals (Song et al. 2021, arXiv:2101.09258, in flow matching's
    time: the score is $(tv - x)/(1-t)$). Times are drawn by $q \propto 1/(1-t)$, so that weights are
    bounded.

    **Arguments:**

    - `cutoff`: $\epsilon$; no time is nearer to the end.

    **Raises:** `ValueError` for a `cutoff` outside (0, 1).

    **Example:**

    ```pycon
    >>> times = hf.time_samplers.LikelihoodTimes(cutoff=1e-3)
    >>> t, weight = times(key, 1000)
    >>> float(t.max()) < 0.999, weight.mean().round(1)
    (True, Array(1., dtype=float32))
    ```
    """

    cutoff: Float[Array, ""] = eqx.field(converter=as_scalar, default=1e-3)

    def __check_init__(self):
        check_positive(self, "cutoff")
        check_below(self, "cutoff", 1.0)

    def __call__(
        self, key: PRNGKeyArray, size: int
    ) -> tuple[Float[Array, " size"], Float[Array, " size"]]:
        parts, _ = Stratified()(key, size)
        t = before_one(-jnp.expm1(jnp.log(self.cutoff) * parts))
        # ω/q, positive at t = 0 too: weights have to be.
        tiny = jnp.finfo(t.dtype).tiny
        return t, jnp.maximum(t, tiny) * jnp.log(1 / self.cutoff) / self._total

    def objective(self, t: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        r"""$\omega(t)$."""
        return jnp.where(1 - t >= self.cutoff, t / (1 - t), 0) / self._total

    @property
    def loss(self) -> str:
        """The objective in words."""
        return (
            "∫ ω(t) E‖v − u‖² dt with ω ∝ t/(1 − t), the likelihood's weight, for 1 − t ≥ ε = "
            f"{float(self.cutoff):.3g}"
        )

    @property
    def _total(self) -> Float[Array, ""]:
        return jnp.log(1 / self.cutoff) - 1 + self.cutoff
