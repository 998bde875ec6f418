"""A path on straight lines from the prior's sample to the end law's."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from hiflow import energies
from hiflow.paths._around import AbstractAroundPath, inner_path
from hiflow.paths._base import AbstractPath, SpectralAnchor, registry
from hiflow.paths._end_laws import AbstractEndLaw
from hiflow.paths._spectral import AbstractSpectralPath
from hiflow.registry import Named


@registry.register("displacement")
class Displacement(AbstractAroundPath):
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

    **Example:**

    ```pycon
    >>> near = hf.hessians.Neighbours.fit(points)  # CDC-FM: data in place of an energy
    >>> inverse = hf.spectral.Power(1.0, least=1e-6)
    >>> inner = hf.paths.Langevin(ring, hessian=near, curvature=inverse)
    >>> path = hf.paths.Displacement(inner)
    >>> flow = hf.fit("mlp", path, points, prior="normal", key=key, steps=20,
    ...               progress=False)
    ```
    """

    inner: AbstractSpectralPath

    def __init__(
        self,
        inner: Named[AbstractPath] = "langevin",
        energy: Named[energies.AbstractEnergy] | None = None,
        prior_scale: ArrayLike | None = None,
    ):
        self.inner = inner_path("Displacement", inner, energy, prior_scale)

    @property
    def end_law(self) -> AbstractEndLaw:
        """The inner path's."""
        return self.inner.end_law

    def anchor(self, x1: Float[Array, "*event"]) -> SpectralAnchor:
        """The inner path's."""
        return self.inner.anchor(x1)

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        r"""$\alpha_t$ and $\sigma_t$ per mode."""
        if frame.variance is None or self.noise == "own":
            return self.inner.schedule(t, frame)
        alpha = self.time.decay(t, frame.speeds)
        return alpha, alpha * self.prior_scale + (1 - alpha) * jnp.sqrt(frame.variance)
