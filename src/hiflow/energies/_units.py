"""What one kT and one unit of length are, of an energy that describes a real system."""

from collections.abc import Mapping
from typing import Literal, Protocol, final, runtime_checkable

import equinox as eqx

from hiflow._checks import number
from hiflow._kinds import accepted
from hiflow._summaries import Component

BOLTZMANN = 0.00831446261815324
"""Boltzmann's constant in kJ/mol/K (exact in the SI of 2019)."""

_PER_KJ_PER_MOL = {"kJ/mol": 1.0, "kcal/mol": 1 / 4.184, "eV": 1 / 96.48533212331}
_METRES = {"Å": 1e-10, "nm": 1e-9, "bohr": 5.29177210544e-11}

Length = Literal["Å", "nm", "bohr"]
EnergyUnit = Literal["kJ/mol", "kcal/mol", "eV"]


def _positive(value: object) -> float:
    return accepted(number("positive and finite", lambda x: x > 0), value, "Units: `temperature`")


@final
class Units(Component):
    """The temperature at which an energy is counted in kT, and the unit of its positions.

    **Arguments:**

    - `temperature`: in K.
    - `length`: the unit of an event's positions: `"Å"`, `"nm"` or `"bohr"`.

    **Raises:** `ValueError` for a temperature that isn't positive or another unit.

    **Example:**

    ```pycon
    >>> units = hf.energies.Units(temperature=300.0, length="nm")
    >>> round(units.kT("kJ/mol"), 3), round(units.kT("eV"), 5)
    (2.494, 0.02585)
    >>> units.lengths_in("Å")
    10.0
    ```
    """

    temperature: float = eqx.field(static=True, converter=_positive)
    length: str = eqx.field(static=True, default="Å")

    def __check_init__(self):
        if self.length not in _METRES:
            raise ValueError(
                f"Units: `length` must be one of {', '.join(_METRES)}, got {self.length!r}."
            )

    def kT(self, unit: EnergyUnit = "kJ/mol") -> float:
        """One kT in `unit`. Constants: CODATA 2022. **Raises:** `ValueError` for another unit."""
        return BOLTZMANN * self.temperature * _known(_PER_KJ_PER_MOL, unit, "kT")

    def lengths_in(self, unit: Length) -> float:
        """How many of `unit` one unit of length is. **Raises:** `ValueError` for another unit."""
        return _METRES[self.length] / _known(_METRES, unit, "lengths_in")

    def __str__(self) -> str:
        return (
            f"1 kT = {self.kT():.4g} kJ/mol = {self.kT('eV'):.4g} eV at {self.temperature:g} K, "
            f"lengths in {self.length}"
        )


def _known(sizes: Mapping[str, float], unit: str, owner: str) -> float:
    if unit not in sizes:
        raise ValueError(f"{owner}: `unit` must be one of {', '.join(sizes)}, got {unit!r}.")
    return sizes[unit]


@runtime_checkable
class SupportsUnits(Protocol):
    """An energy of a real system, which knows its temperature and the unit of its positions.

    **Example:**

    ```pycon
    >>> def springs(x):
    ...     return 50 * np.sum(x**2), -100 * x
    ...
    >>> real = hf.energies.HostEnergy(springs, (4, 3), units=hf.energies.Units(300.0, "Å"))
    >>> isinstance(real, hf.energies.SupportsUnits), real.units.length
    (True, 'Å')
    ```
    """

    @property
    def units(self) -> Units:
        """What one kT and one unit of length are."""
        ...


@runtime_checkable
class SupportsSpecies(Protocol):
    """An energy of atoms, which knows their elements.

    **Example:**

    ```pycon
    >>> class Water(hf.energies.AbstractEnergy):
    ...     event_shape = (3, 3)
    ...     group = hf.groups.Rotation(3)
    ...     species = (8, 1, 1)
    ...     def __call__(self, x):
    ...         d = hf.coordinates.bond_lengths(x, [(0, 1), (0, 2)])
    ...         return 500 * jnp.sum((d - 0.96) ** 2)
    ...
    >>> isinstance(Water(), hf.energies.SupportsSpecies)
    True
    ```
    """

    @property
    def species(self) -> tuple[int, ...] | None:
        """The atomic numbers, in the order of an event's positions; `None` if they aren't known."""
        ...


def species_of(energy: object) -> tuple[int, ...] | None:
    """The atomic numbers of an energy of atoms; `None` for others, and where they aren't known.

    **Example:**

    ```pycon
    >>> hf.energies.species_of(ring) is None  # no atoms
    True
    ```
    """
    species = energy.species if isinstance(energy, SupportsSpecies) else None
    return None if species is None else tuple(species)


def units_of(energy: object) -> Units | None:
    """What one kT and one unit of length are of this energy; `None` if it is of no real system.

    **Example:**

    ```pycon
    >>> hf.energies.units_of(ring) is None  # reduced units
    True
    ```
    """
    units = getattr(energy, "units", None)
    return units if isinstance(units, Units) else None
