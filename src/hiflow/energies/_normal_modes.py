"""How a molecule vibrates about a point, and what the harmonic approximation makes of it."""

from numbers import Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hiflow.energies._base import AbstractEnergy, SupportsHessian
from hiflow.energies._units import BOLTZMANN, Units, units_of

# In SI (exact since 2019), and so in 1/ps, K and 1/cm.
_LIGHT = 2.99792458e-2  # cm/ps
_HBAR = 6.62607015e-34 / (2 * np.pi) * 6.02214076e23 * 1e9  # kJ/mol ps
# Motions that are smaller than this beside the largest are none: a linear molecule's third rotation.
_STRAIGHT = 1e-4


class NormalModes(NamedTuple):
    """The vibrations of a molecule about a point.

    - `wave_numbers`: ascending, in 1/cm, negative for imaginary ones; those of translations and
      rotations (six, or five for a linear molecule) aren't among them.
    - `directions`: `(vibrations, atoms, 3)`, how far each atom goes, orthonormal when weighted by the
      masses in Da.

    **Example:**

    ```pycon
    >>> stretch = np.array([[[-0.19, 0.0, 0.0], [0.19, 0.0, 0.0]]])  # of two atoms
    >>> modes = hf.energies.NormalModes(np.array([2330.0]), stretch)
    >>> hf.energies.thermodynamics(modes, temperature=300.0).free_energy > 0
    True
    ```
    """

    wave_numbers: Float[np.ndarray, " vibrations"]
    directions: Float[np.ndarray, "vibrations atoms 3"]


class Thermodynamics(NamedTuple):
    """Of independent harmonic vibrations, in kT and k.

    - `free_energy`, `energy`: in kT, above the potential's minimum.
    - `entropy`: in k.

    **Example:**

    ```pycon
    >>> modes = hf.energies.NormalModes(np.array([200.0]), np.zeros((1, 2, 3)))
    >>> found = hf.energies.thermodynamics(modes, temperature=300.0)
    >>> round(found.energy - found.free_energy - found.entropy, 6)  # S = E − F
    0.0
    ```
    """

    free_energy: float
    energy: float
    entropy: float


def normal_modes(energy: AbstractEnergy, x: Any, masses: Any) -> NormalModes:
    """The normal modes of atoms at `x`, in float64.

    Of the Hessian $M^{-1/2} H M^{-1/2}$, from which translations and rotations are projected out
    (Eckart): exact where no force is left.

    **Arguments:**

    - `energy`: of atoms, events `(atoms, 3)`, with `units`.
    - `x`: `(atoms, 3)`, in the energy's unit of length; one that isn't traced.
    - `masses`: `(atoms,)`, in Da.

    **Raises:** `ValueError` for an energy without units or of other events, for an `x` or masses that
    don't fit.

    **Example:**

    ```pycon
    >>> def spring(x):  # two atoms of nitrogen, in kJ/mol and Å
    ...     u = x[0] - x[1]
    ...     r = np.linalg.norm(u)
    ...     force = -3000 * (r - 1.1) * u / r
    ...     return 1500 * (r - 1.1) ** 2, np.stack([force, -force])
    ...
    >>> units = hf.energies.Units(300.0, "Å")
    >>> energy = hf.energies.HostEnergy(spring, (2, 3), units=units, unit="kJ/mol")
    >>> x, masses = [[0.0, 0.0, 0.0], [1.1, 0.0, 0.0]], [14.007, 14.007]
    >>> modes = hf.energies.normal_modes(energy, x, masses)
    >>> modes.wave_numbers.round()  # in 1/cm
    array([1099.])
    ```
    """
    units = units_of(energy)
    if units is None or len(energy.event_shape) != 2 or energy.event_shape[1] != 3:
        raise ValueError(
            "normal_modes: `energy` must have `units` and events (atoms, 3), got "
            f"{type(energy).__name__} of events {energy.event_shape}, {units or 'no units'}. See "
            "hiflow.energies.Units."
        )
    point = np.asarray(x, np.float64)
    if point.shape != energy.event_shape or not np.isfinite(point).all():
        raise ValueError(
            f"normal_modes: `x` must be finite, of the event shape {energy.event_shape}, got shape "
            f"{point.shape}. Give one geometry."
        )
    if masses is None:
        raise ValueError("normal_modes: `masses` must be one for each atom, in Da; got None.")
    with jax.enable_x64(True):
        hessian = np.asarray(_hessian(energy, jnp.asarray(point)))
    squares, directions = vibrations(hessian, point, masses)
    return NormalModes(wave_numbers(squares, units), directions)


def vibrations(
    hessian: Float[np.ndarray, "dim dim"], x: Any, masses: Any = None
) -> tuple[Float[np.ndarray, " vibrations"], Float[np.ndarray, "vibrations atoms 3"]]:
    r"""Eigenvalues, ascending, of $M^{-1/2} H M^{-1/2}$ among motions that neither move nor turn the
    atoms at `x`, and its eigenvectors times $M^{-1/2}$: `squares` and `directions`.

    **Arguments:**

    - `hessian`: over the flattened `x`.
    - `x`: `(atoms, 3)`.
    - `masses`: `(atoms,)`; 1 for all, if they aren't given.

    **Raises:** `ValueError` for shapes that don't fit, NaN, or a mass that isn't positive.

    **Example:**

    ```pycon
    >>> x = np.array([[0.0, 0.0, 0.0], [1.1, 0.0, 0.0]])
    >>> along = np.array([1.0, 0.0, 0.0, -1.0, 0.0, 0.0])
    >>> squares, directions = hf.energies.vibrations(300 * np.outer(along, along), x)
    >>> squares.round(3), directions.shape  # one: five others move or turn the atoms
    (array([600.]), (1, 2, 3))
    ```
    """
    x = np.asarray(x, np.float64)
    masses = np.ones(len(x)) if masses is None else np.asarray(masses, np.float64)
    if x.ndim != 2 or x.shape[1] != 3 or np.shape(hessian) != (x.size, x.size):
        raise ValueError(
            f"vibrations: `x` must be (atoms, 3) and `hessian` over all its coordinates, got shapes "
            f"{x.shape} and {np.shape(hessian)}."
        )
    if not np.isfinite(hessian).all() or not np.isfinite(x).all():
        raise ValueError("vibrations: `hessian` and `x` must be finite; they hold NaN or infinity.")
    if masses.shape != x.shape[:1] or not (np.isfinite(masses) & (masses > 0)).all():
        raise ValueError(
            f"vibrations: `masses` must be one positive number per atom, {len(x)} of them, got {masses}."
        )
    root = np.sqrt(np.repeat(masses, 3))
    free = _neither_moved_nor_turned(x, masses)
    squares, modes = np.linalg.eigh(free.T @ (hessian / np.outer(root, root)) @ free)
    return squares, ((free @ modes).T / root).reshape(-1, *x.shape)


def wave_numbers(squares: Float[np.ndarray, " n"], units: Units) -> Float[np.ndarray, " n"]:
    r"""$\omega / 2\pi c$ in 1/cm, of $\omega^2$ in kT per squared length and Da; negative for imaginary
    ones.

    **Example:**

    ```pycon
    >>> units = hf.energies.Units(300.0, "Å")
    >>> hf.energies.wave_numbers(np.array([-1.0, 0.0, 1.0]), units).round(1)
    array([-83.8,   0. ,  83.8])
    ```
    """
    per_ps = np.asarray(squares) * units.kT("kJ/mol") / units.lengths_in("nm") ** 2
    return np.sign(per_ps) * np.sqrt(np.abs(per_ps)) / (2 * np.pi * _LIGHT)


def thermodynamics(
    modes: NormalModes, temperature: float, *, quantum: bool = True
) -> Thermodynamics:
    r"""Of the modes as oscillators: with $u = \hbar\omega / kT$,
    $F = \sum \tfrac{u}{2} + \ln(1 - e^{-u})$ and $E = \sum \tfrac{u}{2} + u / (e^u - 1)$, or classically
    $F = \sum \ln u$ and $E = \sum 1$; $S = E - F$.

    **Arguments:**

    - `temperature`: in K; another than the energy's is allowed.

    **Raises:** `ValueError` for a mode that isn't a vibration, or a temperature that isn't positive.

    **Example:**

    ```pycon
    >>> modes = hf.energies.NormalModes(np.array([200.0]), np.zeros((1, 2, 3)))
    >>> round(hf.energies.thermodynamics(modes, 300.0).entropy, 3)  # in k
    1.079
    >>> round(hf.energies.thermodynamics(modes, 300.0, quantum=False).entropy, 3)
    1.042
    ```
    """
    if not isinstance(temperature, Real | Array) or np.ndim(temperature) or not temperature > 0:
        raise ValueError(
            f"thermodynamics: `temperature` must be a positive number, got {temperature!r}."
        )
    if not (modes.wave_numbers > 0).all():
        raise ValueError(
            f"thermodynamics: `modes` has {int((modes.wave_numbers <= 0).sum())} imaginary wave "
            "numbers: the point is no minimum. Use those of a minimum."
        )
    u = _HBAR / (BOLTZMANN * temperature) * 2 * np.pi * _LIGHT * modes.wave_numbers
    if quantum:
        free = np.sum(u / 2 + np.log(-np.expm1(-u)))
        mean = np.sum(u / 2 - u * np.exp(-u) / np.expm1(-u))  # No overflow in the cold.
    else:
        free, mean = np.sum(np.log(u)), float(len(u))
    return Thermodynamics(float(free), float(mean), float(mean - free))


def _hessian(energy: AbstractEnergy, x: Float[Array, "atoms 3"]) -> Float[Array, "dim dim"]:
    if isinstance(energy, SupportsHessian):
        return energy.hessian(x)
    return jax.jit(jax.hessian(lambda y: energy(y.reshape(x.shape))))(x.ravel())


def _neither_moved_nor_turned(
    x: Float[np.ndarray, "atoms 3"], masses: Float[np.ndarray, " atoms"]
) -> Float[np.ndarray, "dim free"]:
    """An orthonormal basis in coordinates times the root of the masses."""
    x = x - np.average(x, axis=0, weights=masses)
    motions = [np.broadcast_to(axis, x.shape) for axis in np.eye(3)]
    motions += [np.cross(axis, x) for axis in np.eye(3)]
    rigid = np.stack([(np.sqrt(masses)[:, None] * motion).ravel() for motion in motions], axis=1)
    left, sizes, _ = np.linalg.svd(rigid / np.linalg.norm(rigid, axis=0).max())
    return left[:, int((sizes > _STRAIGHT * sizes[0]).sum()) :]
