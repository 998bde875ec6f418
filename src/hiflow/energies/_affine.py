"""An energy in other coordinates: scaled and shifted ones."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hiflow._checks import as_array, check_finite, check_positive
from hiflow.energies._base import AbstractEnergy
from hiflow.energies._substituted import AbstractSubstituted
from hiflow.groups import AbstractGroup


class Affine(AbstractSubstituted):
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
    def group(self) -> AbstractGroup:
        """The inner energy's."""
        return self.inner.group

    @property
    def _scale(self) -> Float[Array, "..."]:
        return self.scale

    def _inside(self, x: Float[Array, "*event"]) -> Float[Array, "*event"]:
        return self.scale * x + self.shift


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
