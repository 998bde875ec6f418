"""Paths that take the energy's Hessian at every data point."""

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow import energies, hessians, spectral, times
from hiflow._checks import as_scalar, check_below, check_event, check_positive, is_concrete
from hiflow.paths._base import AbstractGaussianPath, SpectralAnchor, registry
from hiflow.spectrum import Spectrum


class AbstractSpectralPath(AbstractGaussianPath):
    """A Gaussian path in the eigenbasis of the energy's Hessian at the data point."""

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        energy = cast(energies.AbstractEnergy, ...)
        hessian = cast(hessians.AbstractHessian, ...)
        rates = cast(spectral.AbstractSpectralMap, ...)
        time = cast(times.AbstractTimeTransform, ...)
    else:
        energy: eqx.AbstractVar[energies.AbstractEnergy]
        hessian: eqx.AbstractVar[hessians.AbstractHessian]
        rates: eqx.AbstractVar[spectral.AbstractSpectralMap]
        time: eqx.AbstractVar[times.AbstractTimeTransform]

    def __check_init__(self):
        check_positive(self, "prior_scale")
        _check_rates(self.rates, self.time)
        # Traced, not run: an energy or a provider of the wrong kind is found now, not in training.
        point = jax.ShapeDtypeStruct(self.energy.event_shape, jnp.result_type(float))
        jax.eval_shape(lambda x: self.hessian.spectrum(self.energy, x), point)

    @abc.abstractmethod
    def anchor_from(self, spectrum: Spectrum, x1: Float[Array, "*event"]) -> SpectralAnchor:
        """The anchor, from the Hessian's spectrum at the data point."""

    def anchor(self, x1: Float[Array, "*event"]) -> SpectralAnchor:
        """The Hessian's spectrum at `x1` and what this path makes of it.

        **Raises:** `ValueError` if `x1` doesn't have the energy's event shape.
        """
        check_event(x1, self.energy.event_shape, argument="x1", owner=type(self).__name__)
        anchor = self.anchor_from(self.hessian.spectrum(self.energy, x1), x1)
        return _with_vectors(anchor, None) if anchor.modes.index is not None else anchor

    def frame(self, anchor: Any) -> SpectralAnchor:
        """The anchor itself; with the vectors that its points share, if it holds only their index."""
        if anchor.modes.index is None:
            return anchor
        return _with_vectors(anchor, hessians.shared_vectors(self.energy, anchor.modes.index))


@registry.register("linearised")
class Linearised(AbstractSpectralPath):
    r"""Deterministic linearised dynamics: every mode of the Hessian relaxes onto $x_1$ at its own rate.

    $x_t = x_1 + \Phi_t(x_0 - x_1)$ with $\Phi_t = Q e^{-a\tau(t)} Q^\top$ and rates $a = r(\lambda)$.
    With `rates=Constant()` and `LogTime` it is optimal-transport flow matching. The gradient at
    $x_1$ is dropped: $x_1$ is treated as an equilibrium (Hartman–Grobman).

    **Arguments:**

    - `energy`, `hessian`, `rates`, `time`: components, their names or tables.
    - `prior_scale`: $s_0$ of the prior $N(0, s_0^2 P)$.

    **Raises:** `ValueError` if a rate may be ½ or less and `time` has no cutoff: the regression target
    would have infinite variance.
    """

    energy: energies.AbstractEnergy = eqx.field(converter=energies.registry.make)
    hessian: hessians.AbstractHessian = eqx.field(converter=hessians.registry.make, default="dense")
    rates: spectral.AbstractSpectralMap = eqx.field(
        converter=spectral.registry.make, default="saturating"
    )
    time: times.AbstractTimeTransform = eqx.field(converter=times.registry.make, default="log")
    prior_scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def anchor_from(self, spectrum: Spectrum, x1: Float[Array, "*event"]) -> SpectralAnchor:
        return _anchor(x1, spectrum, self.rates)

    def coefficients(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        alpha = self.time.decay(t, frame.rates)
        return alpha, self.prior_scale * alpha


@registry.register("langevin")
class Langevin(AbstractSpectralPath):
    r"""Linearised Langevin dynamics: ends in the Laplace law $N(x_1, C)$, $C = K^{-1}/\beta$.

    $dx = -MK(x - x_1)\,d\tau + \sqrt{2M/\beta}\,dW$ with curvature $K = c(H)$. The mobility $M$ enters
    through the rates $A = MK$, free of the end law: `rates=Constant()` is Newton's mobility
    $M = K^{-1}$ (all modes relax together), `rates` equal to `curvature` is the physical $M = I$.
    Then $\alpha_t = e^{-A\tau}$ and $\sigma_t^2 = C + \alpha_t^2(s_0^2 - C)$ mode by mode.

    The end law spreads each data point along the soft directions of the energy, so for thermal
    samples it counts the thermal noise twice: [`Relaxed`][hiflow.paths.Relaxed] does not.

    **Arguments:**

    - `energy`, `hessian`, `curvature`, `rates`, `time`: components, their names or tables.
    - `beta`: inverse temperature of the end law; $\beta \to \infty$ is `Linearised`.
    - `prior_scale`: $s_0$ of the prior $N(0, s_0^2 P)$.

    **Raises:** `ValueError` for a non-positive `beta`, and for rates as in `Linearised`.
    """

    energy: energies.AbstractEnergy = eqx.field(converter=energies.registry.make)
    hessian: hessians.AbstractHessian = eqx.field(converter=hessians.registry.make, default="dense")
    curvature: spectral.AbstractSpectralMap = eqx.field(
        converter=spectral.registry.make, default="absolute"
    )
    rates: spectral.AbstractSpectralMap = eqx.field(
        converter=spectral.registry.make, default="constant"
    )
    time: times.AbstractTimeTransform = eqx.field(converter=times.registry.make, default="log")
    beta: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)
    prior_scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def __check_init__(self):
        check_positive(self, "beta")

    def anchor_from(self, spectrum: Spectrum, x1: Float[Array, "*event"]) -> SpectralAnchor:
        variance = 1 / (self.beta * spectrum.curvature(self.curvature))
        return _anchor(x1, spectrum, self.rates, variance)

    def coefficients(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        alpha = self.time.decay(t, frame.rates)
        return alpha, _relaxed_scale(alpha, frame.variance, self.prior_scale)


@registry.register("relaxed")
class Relaxed(AbstractSpectralPath):
    r"""One exact step of the linearised Ornstein–Uhlenbeck dynamics from $x_1$ as end law, with the
    gradient kept: $N(x_1 - sC\nabla V(x_1),\; s(2-s)\,C)$, $C = K^{-1}$.

    For thermal samples (kT = 1) of a Gaussian target with $K = H$ the end law, averaged over the data,
    is the target itself for every `step` $s \in (0, 1]$: the spread adds no bias, unlike `Langevin`'s.

    **Arguments:** as `Langevin`'s, with `step` $s$ instead of `beta`.
    """

    energy: energies.AbstractEnergy = eqx.field(converter=energies.registry.make)
    hessian: hessians.AbstractHessian = eqx.field(converter=hessians.registry.make, default="dense")
    curvature: spectral.AbstractSpectralMap = eqx.field(
        converter=spectral.registry.make, default="absolute"
    )
    rates: spectral.AbstractSpectralMap = eqx.field(
        converter=spectral.registry.make, default="constant"
    )
    time: times.AbstractTimeTransform = eqx.field(converter=times.registry.make, default="log")
    step: Float[Array, ""] = eqx.field(converter=as_scalar, default=0.5)
    prior_scale: Float[Array, ""] = eqx.field(converter=as_scalar, default=1.0)

    def __check_init__(self):
        check_positive(self, "step")
        check_below(self, "step", 1.0, or_equal=True)

    def anchor_from(self, spectrum: Spectrum, x1: Float[Array, "*event"]) -> SpectralAnchor:
        covariance = 1 / spectrum.curvature(self.curvature)
        gradient = jax.grad(self.energy)(x1).ravel()
        centre = x1 - self.step * spectrum.modes.apply(covariance, gradient).reshape(x1.shape)
        variance = self.step * (2 - self.step) * covariance
        return _anchor(centre, spectrum, self.rates, variance)

    def coefficients(
        self, t: Float[Array, ""], frame: SpectralAnchor
    ) -> tuple[Float[Array, " modes"], Float[Array, " modes"]]:
        alpha = self.time.decay(t, frame.rates)
        return alpha, _relaxed_scale(alpha, frame.variance, self.prior_scale)


def _anchor(
    centre: Float[Array, "*event"],
    spectrum: Spectrum,
    rates: spectral.AbstractSpectralMap,
    variance: Float[Array, " modes"] | None = None,
) -> SpectralAnchor:
    coefficients = spectrum.modes.coefficients(centre.ravel())
    return SpectralAnchor(centre, spectrum.modes, spectrum.rates(rates), variance, coefficients)


def _with_vectors(anchor: SpectralAnchor, vectors: Array | None) -> SpectralAnchor:
    modes = dataclasses.replace(anchor.modes, vectors=vectors)
    return dataclasses.replace(anchor, modes=modes)


def _relaxed_scale(
    alpha: Float[Array, " modes"],
    variance: Float[Array, " modes"] | None,
    prior_scale: Float[Array, ""],
) -> Float[Array, " modes"]:
    assert variance is not None, "the anchor comes from a path without an end law"
    # Two terms that can't cancel: the end law may be far wider than the prior.
    return jnp.sqrt((1 - alpha**2) * variance + alpha**2 * prior_scale**2)


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
