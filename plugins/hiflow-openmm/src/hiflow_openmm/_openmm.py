"""OpenMM itself: its energies and forces, and its Langevin dynamics."""

from typing import Any

import numpy as np
import openmm
from hiflow.data import Samples
from jaxtyping import Float

from hiflow_openmm._energy import OpenMMEnergy
from hiflow_openmm._host import Calculation
from hiflow_openmm._system import plain, system_of


def in_openmm(
    energy: OpenMMEnergy, points: Any, platform: str = "Reference"
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n atoms 3"]]:
    """Energies in kT and forces in kT per unit of length of `(n, atoms, 3)` points, one after the other
    and in double precision; to compare the translation with.

    **Arguments:**

    - `platform`: of OpenMM, `"Reference"` (all in double precision), `"CPU"`, …
    """
    nanometres, kT = energy.units.lengths_in("nm"), energy.units.kT("kJ/mol")
    calculation = Calculation(energy.molecule.xml, nanometres, platform)
    values, forces = calculation(np.asarray(points, np.float64))
    return values / kT, forces / kT


def langevin(
    energy: OpenMMEnergy,
    *,
    size: int,
    chains: int = 8,
    interval: float = 1.0,
    equilibration: float = 100.0,
    step: float = 0.5,
    friction: float = 1.0,
    seed: int = 0,
    platform: str = "CPU",
) -> Samples:
    """Samples by OpenMM's Langevin dynamics at the energy's temperature, from independent chains that
    start in `energy.positions`, one after the other; to compare `hf.data.sample` with, which is faster
    and crosses torsional barriers.

    **Arguments:**

    - `size`: the number of samples, of all chains.
    - `interval`: from one sample of a chain to its next, in ps.
    - `equilibration`: what is discarded of each chain, in ps.
    - `step`: in fs; at most about 1, since no bond is held fixed.
    - `friction`: in 1/ps.
    - `seed`: a positive whole number, or 0.
    - `platform`: of OpenMM.

    **Returns:** `Samples` in the energy's unit of length, centred, with chain labels.

    **Raises:** `ValueError` for a number that isn't positive.
    """
    given = {
        "size": size, "chains": chains, "interval": interval, "step": step, "friction": friction,
    }  # fmt: skip
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"langevin: `{name}` must be positive, got {value!r}.")
    draws = -(-size // chains)
    points = np.zeros((draws, chains, *energy.event_shape))
    for chain in range(chains):
        integrator = openmm.LangevinMiddleIntegrator(
            energy.units.temperature, friction, 1e-3 * step
        )
        integrator.setRandomNumberSeed(1 + seed * chains + chain)
        found = openmm.Platform.getPlatformByName(platform)
        context = openmm.Context(system_of(energy.molecule.xml), integrator, found)
        context.setPositions(np.asarray(energy.molecule.positions))
        context.setVelocitiesToTemperature(energy.units.temperature, 1 + seed * chains + chain)
        integrator.step(round(1000 * equilibration / step))
        for draw in range(draws):
            integrator.step(max(1, round(1000 * interval / step)))
            points[draw, chain] = plain(context.getState(positions=True).getPositions(asNumpy=True))
    points = points.reshape(-1, *energy.event_shape)[:size] / energy.units.lengths_in("nm")
    points -= points.mean(axis=1, keepdims=True)
    return Samples(points, np.arange(size) % chains)
