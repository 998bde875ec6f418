"""Paths that take the energy's Hessian at every data point."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from hiflow import energies, hessians, spectral, times
from hiflow._checks import as_scalar, check_event, check_positive, is_concrete
from hiflow.paths._base import AbstractGaussianPath, SpectralAnchor, registry
from hiflow.paths._end_laws import AbstractEndLaw, end_laws
from hiflow.paths._noise import Noise, check_noise
from hiflow.spectrum import Spectrum


class AbstractSpectralPath(AbstractGaussianPath):
    r"""A Gaussian path in the eigenbasis of the energy's Hessian at the data point: energy, Hessian,
    rates, time and end law, with everything that follows from them.

    Every mode relaxes at its rate $a$, $\alpha_t = e^{-a\tau(t)}$, from the prior to the end law
    $N(c, C)$. The noise of an end law comes from one of two sources.

    *From the prior sample*, $\varepsilon = x_0/s_0$: $\sigma_t^2 = C + \alpha_t^2(s_0^2 - C)$. Given
    $x_1$ the target is a function of $x_t$, so this one is the quieter. The end is right only if the
    prior is $N(0, s_0^2P)$ and $x_0$ independent of $x_1$.

    *Of its own*: `draw` replaces the anchor's centre by a sample $y$ of the end law, and the flow
    relaxes onto it, $x_t = y + \Phi_t(x_0 - y)$. Start and end are right for any prior and pairs; for
    a normal prior and independent ones $\sigma_t^2 = (1 - \alpha_t)^2 C + \alpha_t^2 s_0^2$. Given $x_1$
    a mode of rate 1 has a target of variance $s_0^2C/\sigma_t^2$, in the mean over time
    $\tfrac\pi2 s_0\sqrt C$. (Noise that grows like $\sqrt{1 - \Phi_t^2}$ would have the marginals of
    the first form, but a target whose variance grows like $1/t$ towards the start: no finite mean.)

    **Example:**

    ```pycon
    >>> path = hf.paths.Langevin(ring)
    >>> isinstance(path, hf.paths.AbstractSpectralPath)
    True
    >>> anchor, t = path.anchor(jnp.array([2.0, 0.0])), jnp.asarray(0.5)
    >>> alpha, sigma = path.schedule(t, path.frame(anchor))  # mode by mode
    >>> alpha, sigma.round(2)
    (Array([0.5, 0.5], dtype=float32), Array([1. , 0.5], dtype=float32))
    ```
    """

    energy: energies.AbstractEnergy = eqx.field(converter=energies.registry.make)
    hessian: hessians.AbstractHessian = eqx.field(converter=hessians.registry.make, default="dense")
    rates: spectral.AbstractSpectralMap = eqx.field(
        converter=spectral.registry.make, default="constant"
    )
    time: times.AbstractTimeTransform = eqx.field(converter=times.registry.make, default="log")
    end_law: AbstractEndLaw = eqx.field(converter=end_laws.make, default="point")
    prior_scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    noise: Noise = eqx.field(static=True, default="auto")

    def __check_init__(self):
        check_positive(self, "prior_scale")
        check_noise(self)
        _check_rates(self.rates, self.time)
        # Traced, not run: an energy or a provider of the wrong kind is found now, not in training.
        point = jax.ShapeDtypeStruct(self.energy.event_shape, jnp.result_type(float))
        jax.eval_shape(lambda x: self.hessian.spectrum(self.energy, x), point)

    def anchor_from(self, spectrum: Spectrum, x1: Float[Array, "*event"]) -> SpectralAnchor:
        """The anchor, from the Hessian's spectrum at the data point."""
        centre, variance = self.end_law(x1, spectrum, self.energy)
        modes, speeds = spectrum.modes, spectrum.speeds(self.rates)
        return SpectralAnchor(centre, modes, speeds, variance, modes.components(centre.ravel()))

    def anchor(self, x1: Float[Array, "*event"]) -> SpectralAnchor:
        """The Hessian's spectrum at `x1` and what this path makes of it.

        **Raises:** `ValueError` if `x1` doesn't have the energy's event shape.
        """
        check_event(x1, self.energy.event_shape, argument="x1", owner=type(self).__name__)
        anchor = self.anchor_from(self.hessian.spectrum(self.energy, x1), x1)
        return _with_vectors(anchor, None) if anchor.modes.index is not None else anchor

    def frame(self, anchor: PyTree) -> SpectralAnchor:
        """The anchor itself; with the vectors that its points share, if it holds only their index."""
        if anchor.modes.index is None:
            return anchor
        return _with_vectors(anchor, hessians.shared_vectors(self.energy, anchor.modes.index))

    def schedule(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        r"""$\alpha_t$ and $\sigma_t$ per mode."""
        alpha = self.time.decay(t, frame.speeds)
        if frame.variance is None:
            return alpha, self.prior_scale * alpha
        gained = (1 - alpha) ** 2 if self.noise == "own" else 1 - alpha**2
        # Two terms that can't cancel: the end law may be far wider than the prior.
        return alpha, jnp.sqrt(gained * frame.variance + alpha**2 * self.prior_scale**2)

    def draw(self, anchor: SpectralAnchor, *, key: PRNGKeyArray) -> SpectralAnchor:
        """The anchor of a path that ends in one sample of the end law, without noise from elsewhere."""
        frame = self.frame(anchor)
        if frame.variance is None:
            return anchor
        z = self.energy.group.project(
            jax.random.normal(key, frame.centre.shape, frame.centre.dtype)
        )
        offset = frame.modes.apply(jnp.sqrt(frame.variance), z.ravel()).reshape(z.shape)
        end = frame.centre + offset
        return dataclasses.replace(anchor, centre=end, variance=None, components=None)


@registry.register("spectral")
class Spectral(AbstractSpectralPath):
    r"""A path put together of its parts. `Linearised`, `Langevin` and `Relaxed` are three of these.

    **Arguments:**

    - `energy`, `hessian`, `rates`, `time`: components, their names or tables.
    - `end_law`: `Point`, `Laplace`, `Relaxation` or your own, its name or table.
    - `prior_scale`: $s_0$ of the prior $N(0, s_0^2 P)$.
    - `noise`: where the end law's noise comes from. `"prior"`: from the prior sample. `"own"`: it has
      its own. `"auto"`: `fit` takes the first, and the second where the first is wrong.

    **Raises:** `ValueError` if a rate may be ½ or less and `time` has no cutoff: the regression target
    would have infinite variance.

    **Example:**

    ```pycon
    >>> path = hf.paths.Spectral(
    ...     ring,
    ...     hessian="analytic",
    ...     rates=hf.spectral.Saturating(kappa=0.5),
    ...     time=hf.times.CosineTime(),
    ...     end_law=hf.paths.Laplace("clamped", beta=4.0),
    ... )
    >>> path.anchor(jnp.array([2.0, 0.0])).variance.round(4)
    Array([0.25  , 0.0016], dtype=float32)
    ```
    """


def _with_vectors(anchor: SpectralAnchor, vectors: Array | None) -> SpectralAnchor:
    modes = dataclasses.replace(anchor.modes, vectors=vectors)
    return dataclasses.replace(anchor, modes=modes)


def _check_rates(rates: spectral.AbstractSpectralMap, time: times.AbstractTimeTransform) -> None:
    least, cutoff = rates.lower_bound, time.cutoff
    if not is_concrete(least, cutoff):
        return
    if np.asarray(cutoff) > 0 or np.asarray(least) > 0.5:
        return
    raise ValueError(
        f"rates must exceed 1/2 with {type(time).__name__}, or the regression target has infinite "
        f"variance at t = 1: got a lower bound of {float(least):.3g} from {type(rates).__name__}. "
        f"Wrap it in TraceNormalised, use a map such as Clamped(floor=1.0), or use "
        f"{type(time).__name__}(cutoff=1e-3)."
    )
