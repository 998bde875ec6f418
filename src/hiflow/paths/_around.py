"""What paths share that go around another spectral path: its energy, time, scale and noise."""

from typing import TYPE_CHECKING, cast

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from hiflow import energies, times
from hiflow.paths._base import AbstractGaussianPath, AbstractPath, SpectralAnchor, registry
from hiflow.paths._noise import Noise
from hiflow.paths._spectral import AbstractSpectralPath
from hiflow.registry import Named


class AbstractAroundPath(AbstractGaussianPath):
    """A path that changes where another one goes, or how. A subclass gives `inner`, `anchor` and
    `schedule`."""

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        inner = cast(AbstractSpectralPath, ...)
    else:
        inner: eqx.AbstractVar[AbstractSpectralPath]

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

    def frame(self, anchor: PyTree) -> SpectralAnchor:
        """The inner path's."""
        return self.inner.frame(anchor)


def inner_path(
    owner: str,
    inner: Named[AbstractPath],
    energy: Named[energies.AbstractEnergy] | None,
    prior_scale: ArrayLike | None,
) -> AbstractSpectralPath:
    """The spectral path inside the owner's, with `energy` and `prior_scale` where its table lacks them.

    **Raises:** `ValueError` if it is no path with an energy.
    """
    known = {"energy": energy, "prior_scale": prior_scale}
    made = registry.make(inner, **{k: v for k, v in known.items() if v is not None})
    if not isinstance(made, AbstractSpectralPath):
        raise ValueError(
            f"{owner}: `inner` must be a path with an energy, such as Langevin; got "
            f"{type(made).__name__}."
        )
    return made
