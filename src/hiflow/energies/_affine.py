"""An energy in other coordinates: scaled and shifted ones."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hiflow._checks import as_array, check_finite, check_positive
from hiflow.energies._base import (
    AbstractEnergy,
    SupportsHessian,
    SupportsLowRank,
    SupportsResiduals,
    SupportsSharedBasis,
)
from hiflow.groups import AbstractGroup


class Affine(AbstractEnergy):
    r"""$z \mapsto V(Sz + b)$ with a positive scale $S$, one number or one per coordinate.

    If $x$ is distributed as $e^{-V}$, then $z = S^{-1}(x - b)$ is as $e^{-V(Sz + b)}$; the gradient is
    $S\nabla V$ and the Hessian $S H S$. What the inner energy has in closed form, this one has too. The
    symmetry stays if the group commutes with $S$ and leaves $b$ where it is.

    **Arguments:**

    - `inner`: $V$.
    - `scale`: $S$, a number or of the event's shape.
    - `shift`: $b$, likewise.

    **Raises:** `ValueError` for a scale that isn't positive, a shift that isn't finite, or other shapes.

    **Example:**

    ```pycon
    >>> seen = hf.energies.Affine(ring, scale=10.0)  # the ring in units of ten
    >>> x = jnp.array([0.2, 0.0])
    >>> seen(x), seen.hessian(x)[0, 0] / ring.hessian(10 * x)[0, 0]
    (Array(0., dtype=float32), Array(100., dtype=float32))
    ```
    """

    inner: AbstractEnergy
    scale: Float[Array, "..."] = eqx.field(converter=as_array, default=1.0)
    shift: Float[Array, "..."] = eqx.field(converter=as_array, default=0.0)

    def __check_init__(self):
        check_positive(self, "scale")
        check_finite(self, "shift")
        for name in ("scale", "shift"):
            if getattr(self, name).shape not in ((), tuple(self.inner.event_shape)):
                raise ValueError(
                    f"Affine: `{name}` must be a number or of the event's shape "
                    f"{tuple(self.inner.event_shape)}, got shape {getattr(self, name).shape}."
                )

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The inner energy's."""
        return self.inner.event_shape

    @property
    def group(self) -> AbstractGroup:
        """The inner energy's."""
        return self.inner.group

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

    def _inside(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return self.scale * x + self.shift

    def _scales(self, x: Float[Array, "*event"]) -> Float[Array, " dim"]:
        return jnp.broadcast_to(self.scale, x.shape).ravel()

    def _one_scale(self, provider: str) -> Float[Array, ""]:
        if self.scale.ndim:
            raise ValueError(
                f"{provider}: in coordinates of different scale the Hessian is no multiple of the "
                "identity and a few dyads. Use one scale for all, standardise='scalar', or another "
                "Hessian provider."
            )
        return self.scale

    def _lacks(self, method: str) -> ValueError:
        return ValueError(f"{type(self.inner).__name__} has no method `{method}`.")


class Innermost(NamedTuple):
    """An energy that is no affine one, and how its coordinates follow from those of one around it:
    `scale * x + shift`."""

    energy: AbstractEnergy
    scale: Float[Array, "..."]
    shift: Float[Array, "..."]


def innermost(energy: AbstractEnergy) -> Innermost:
    """Of an energy that may be an affine one of an affine one."""
    # Of a weak type: coordinates keep their precision.
    scale, shift = jnp.asarray(1.0), jnp.asarray(0.0)
    while isinstance(energy, Affine):
        scale, shift = energy.scale * scale, energy.scale * shift + energy.shift
        energy = energy.inner
    return Innermost(energy, scale, shift)
