"""A free energy with what one kT is, so that it is said in kJ/mol at its temperature."""

import dataclasses
from collections.abc import Iterator

from hiflow.energies import Units


@dataclasses.dataclass(frozen=True)
class FreeEnergy:
    """A free energy, or a difference of two; `value, error = ...` takes it apart.

    **Arguments:**

    - `value`, `error`: in kT.
    - `units`: what one kT is; `None` for an energy that is no real system's.

    **Example:**

    ```pycon
    >>> F = hf.metrics.FreeEnergy(2.0, 0.1, hf.energies.Units(300.0))
    >>> value, error = F
    >>> F.kJ_per_mol
    (4.988677570891944, 0.24943387854459723)
    ```
    """

    value: float
    error: float
    units: Units | None = None

    def __iter__(self) -> Iterator[float]:
        """Value and error, in kT."""
        return iter((self.value, self.error))

    @property
    def kJ_per_mol(self) -> tuple[float, float]:
        """The same with its error in kJ/mol.

        **Raises:** `ValueError` without `units`.
        """
        if self.units is None:
            raise ValueError(
                "FreeEnergy: there are no units to know kJ/mol by. Give the energy `units`, or the "
                "samples: dataclasses.replace(weighted, units=hf.energies.Units(300))."
            )
        return self.value * self.units.kT(), self.error * self.units.kT()

    def __str__(self) -> str:
        text = f"{self.value:.3f} ± {self.error:.3f} kT"
        if self.units is None:
            return text
        value, error = self.kJ_per_mol
        return f"{text} = {value:.3f} ± {error:.3f} kJ/mol at {self.units.temperature:g} K"
