"""Whether lengths can be what they are said to be: atoms are neither 0.1 Å nor 20 Å from the next."""

import numpy as np

from hiflow.energies import species_of, units_of

# In Å: from hydrogen's bond, strongly squeezed, to atoms that barely touch.
_LEAST, _MOST = 0.5, 6.0
_FRAMES = 200


def wrong_lengths(energy: object, points: np.ndarray) -> str | None:
    """Why positions of atoms can't be in the energy's unit of length, in a sentence, with the likely
    factor; `None` for what may be, and for energies of no atoms."""
    units, species = units_of(energy), species_of(energy)
    if units is None or species is None or points.ndim != 3 or points.shape[1] < 2:
        return None
    x = points[:: max(len(points) // _FRAMES, 1)].astype(np.float64)
    distance = np.linalg.norm(x[:, :, None] - x[:, None], axis=-1)
    distance[:, np.arange(x.shape[1]), np.arange(x.shape[1])] = np.inf
    nearest = float(np.median(distance.min(axis=2)))
    in_angstrom = nearest * units.lengths_in("Å")
    if _LEAST <= in_angstrom <= _MOST:
        return None
    found = f"an atom's next one is {nearest:.3g} {units.length} away (the median)"
    for factor in (10.0, 0.1):
        if 1.4 * _LEAST <= factor * in_angstrom <= _MOST:
            other = {("Å", 10.0): "nm for Å", ("nm", 0.1): "Å for nm"}.get((units.length, factor))
            return (
                f"{found}: likely a factor of 10{f', {other}' if other else ''}. Multiply the positions "
                f"by {factor:g}."
            )
    return f"{found}, which no atoms are. Lengths are to be in {units.length}."
