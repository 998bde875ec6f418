"""Energies that are another at another point: in other coordinates, or within one period."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hiflow.energies._base import (
    AbstractEnergy,
    SupportsHessian,
    SupportsLowRank,
    SupportsResiduals,
    SupportsSharedBasis,
)


class AbstractSubstituted(AbstractEnergy):
    r"""$z \mapsto V(x(z))$, with the derivative $S$ of $x(z)$ the same everywhere: one number or one per
    coordinate. What the inner energy has in closed form, this one has too."""

    inner: eqx.AbstractVar[AbstractEnergy]

    @property
    @abc.abstractmethod
    def _scale(self) -> Float[Array, "..."]:
        """$S$."""

    @abc.abstractmethod
    def _inside(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """The inner energy's coordinates."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The inner energy's."""
        return self.inner.event_shape

    def __call__(self, x: Float[Array, "*event"]) -> Float[Array, ""]:
        return self.inner(self._inside(x))

    def hessian(self, x: Float[Array, "*event"]) -> Float[Array, "dim dim"]:
        r"""$S H S$; by automatic differentiation if the inner energy has no closed form."""
        if isinstance(self.inner, SupportsHessian):
            inner = self.inner.hessian(self._inside(x))
        else:
            inner = jax.hessian(self.inner)(self._inside(x)).reshape(x.size, x.size)
        scale = self._scales(x)
        return scale[:, None] * inner * scale[None, :]

    def residuals(self, x: Float[Array, "*event"]) -> Float[Array, " m"]:
        """Those of the inner energy.

        **Raises:** `ValueError` if it is no sum of squares.
        """
        if not isinstance(self.inner, SupportsResiduals):
            raise self._lacks("residuals")
        return self.inner.residuals(self._inside(x))

    def low_rank_hessian(
        self, x: Float[Array, "*event"]
    ) -> tuple[Float[Array, "dim m"], Float[Array, " m"], Float[Array, ""]]:
        r"""Of $s^2 H$.

        **Raises:** `ValueError` if the inner energy's Hessian isn't of this kind, or the scale isn't one
        number, which leaves no multiple of the identity.
        """
        if not isinstance(self.inner, SupportsLowRank):
            raise self._lacks("low_rank_hessian")
        scale = self._one_scale("LowRank")
        factors, values, rest = self.inner.low_rank_hessian(self._inside(x))
        return factors, scale**2 * values, scale**2 * rest

    def shared_spectra(self) -> tuple[Float[Array, "m modes"], Float[Array, "m dim k"]]:
        """The inner energy's eigenvalues times the scale squared, and its eigenvectors.

        **Raises:** `ValueError` as `low_rank_hessian`.
        """
        if not isinstance(self.inner, SupportsSharedBasis):
            raise self._lacks("shared_spectra")
        scale = self._one_scale("SharedBasis")
        eigenvalues, vectors = self.inner.shared_spectra()
        return scale**2 * eigenvalues, vectors

    def component(self, x: Float[Array, "*event"]) -> Int[Array, ""]:
        """Which of the shared spectra `x` gets."""
        if not isinstance(self.inner, SupportsSharedBasis):
            raise self._lacks("component")
        return self.inner.component(self._inside(x))

    def _scales(self, x: Float[Array, "*event"]) -> Float[Array, " dim"]:
        return jnp.broadcast_to(self._scale, x.shape).ravel()

    def _one_scale(self, provider: str) -> Float[Array, ""]:
        if self._scale.ndim:
            raise ValueError(
                f"{provider}: in coordinates of different scale the Hessian is no multiple of the "
                "identity and a few dyads. Use one scale for all, standardise='scalar', or another "
                "Hessian provider."
            )
        return self._scale

    def _lacks(self, method: str) -> ValueError:
        return ValueError(f"{type(self.inner).__name__} has no method `{method}`.")


def underneath(energy: AbstractEnergy) -> AbstractEnergy:
    """The energy itself, which says truly by its methods what it has in closed form."""
    while isinstance(energy, AbstractSubstituted):
        energy = energy.inner
    return energy
