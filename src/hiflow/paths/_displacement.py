"""A path on straight lines from the prior's sample to the end law's."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from hiflow import energies, times
from hiflow.paths._base import AbstractGaussianPath, AbstractPath, SpectralAnchor, registry
from hiflow.paths._noise import Noise
from hiflow.paths._spectral import AbstractSpectralPath
from hiflow.registry import Named


@registry.register("displacement")
class Displacement(AbstractGaussianPath):
    r"""Another path's end law, with a scale that goes from the prior's to the end's along a straight
    line: $\sigma_t = \alpha_t s_0 + (1 - \alpha_t)\sqrt C$, mode by mode.

    With rates 1 every sample moves on a straight line at constant speed,
    $x_t = (1-t)\,x_0 + t\,(c + C^{1/2}x_0/s_0)$: McCann's displacement interpolation between the prior
    and $N(c, C)$, as Carré du champ flow matching takes it (arXiv 2510.05930). `Langevin` and `Relaxed`
    go along the dynamics instead, $\sigma_t^2 = C + \alpha_t^2(s_0^2 - C)$. Where `fit` gives the end
    law noise of its own, both are the same.

    **Arguments:**

    - `inner`: a spectral path, or its table, for which `energy` and `prior_scale` are filled in.

    **Raises:** `ValueError` if `inner` is no path with an energy.
    """

    inner: AbstractSpectralPath

    def __init__(
        self,
        inner: Named[AbstractPath] = "langevin",
        energy: Named[energies.AbstractEnergy] | None = None,
        prior_scale: ArrayLike | None = None,
    ):
        known = {"energy": energy, "prior_scale": prior_scale}
        made = registry.make(inner, **{k: v for k, v in known.items() if v is not None})
        if not isinstance(made, AbstractSpectralPath):
            raise ValueError(
                f"Displacement: `inner` must be a path with an energy, such as Langevin; got "
                f"{type(made).__name__}."
            )
        self.inner = made

    @property
    def energy(self) -> energies.AbstractEnergy:
        """The inner path's energy."""
        return self.inner.energy

    @property
    def time(self) -> times.AbstractTimeTransform:
        """The inner path's time transform."""
        return self.inner.time

    @property
    def prior_scale(self) -> Float[Array, ""]:
        """The inner path's scale of the prior."""
        return self.inner.prior_scale

    @property
    def noise(self) -> Noise:
        """Whose noise the inner path's end law has."""
        return self.inner.noise

    def draw(self, anchor: SpectralAnchor, *, key: PRNGKeyArray) -> SpectralAnchor:
        """The inner path's."""
        return self.inner.draw(anchor, key=key)

    def anchor(self, x1: Float[Array, "*event"]) -> SpectralAnchor:
        """The inner path's."""
        return self.inner.anchor(x1)

    def frame(self, anchor: PyTree) -> SpectralAnchor:
        """The inner path's."""
        return self.inner.frame(anchor)

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        r"""$\alpha_t$ and $\sigma_t$ per mode."""
        if frame.variance is None or self.noise == "own":
            return self.inner.schedule(t, frame)
        alpha = self.time.decay(t, frame.speeds)
        return alpha, alpha * self.prior_scale + (1 - alpha) * jnp.sqrt(frame.variance)
