"""Pair energies whose published parameters are presets, and know which one they are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import equinox as eqx
import jax
import numpy as np

from hiflow.energies._pairs import AbstractPairEnergy
from hiflow.registry import SupportsPresets

E = TypeVar("E", bound="AbstractBenchmarkEnergy")


class AbstractBenchmarkEnergy(AbstractPairEnergy, SupportsPresets):
    """A pair energy of which some parameters are a published benchmark.

    Subclasses give `presets`, the known `entropies` of some, and the static field `convention`: the
    preset that the parameters belong to, or `None`. Other parameters than its preset's are refused.

    **Example:**

    ```pycon
    >>> sorted(hf.energies.LennardJones.presets)
    ['lj13', 'lj13-eps1', 'lj55']
    >>> softer = hf.energies.LennardJones.preset("lj13", trap=2.0)
    >>> softer.convention is None, hf.energies.LennardJones.preset("lj13").convention
    (True, 'lj13')
    ```
    """

    if TYPE_CHECKING:  # An annotation would read as the constructor's first argument.
        convention = cast(str | None, ...)
    else:
        convention: eqx.AbstractVar[str | None]

    entropies: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Of a preset, the lower and the upper bound of the density's entropy, in nats."""

    def __check_init__(self):
        if self.convention is None:
            return
        name, meant = type(self).__name__, self.preset_arguments(self.convention)
        if not self._agrees_with(meant):
            raise ValueError(
                f"{name}: `convention` {self.convention!r} means {meant}, but other parameters were "
                f"given. Use {name}.preset, or leave `convention` out."
            )

    @classmethod
    def preset(cls: type[E], name: str, **overrides: object) -> E:
        """The energy of a published benchmark, by its name in `presets`. With `overrides` it is
        another energy, and has no `convention`.

        **Raises:** `ValueError` for another name.
        """
        convention = None if overrides else name
        return super().preset(name, **{"convention": convention, **overrides})

    def entropy(self) -> tuple[float, float] | None:
        """Bounds in nats, Lebesgue measure on the centred subspace: those of `entropies` if the
        parameters still are the preset's, else `None`."""
        if self.convention is None or self.convention not in self.entropies:
            return None
        known = self._agrees_with(self.preset_arguments(self.convention))
        return self.entropies[self.convention] if known else None

    def _agrees_with(self, parameters: Mapping[str, Any]) -> bool:
        """Whether the energy's parameters are these; traced parameters never are."""
        try:
            return all(np.allclose(getattr(self, key), item) for key, item in parameters.items())
        except jax.errors.TracerArrayConversionError:
            return False
