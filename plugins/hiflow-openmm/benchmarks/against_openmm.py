"""The translated energy beside OpenMM's: how far they agree, and what a force costs, on one core.

    python plugins/hiflow-openmm/benchmarks/against_openmm.py [--frames 500] [--seconds 5] [--only gbn2]

Geometries are thermal (Langevin dynamics of OpenMM at 300 and at 1,000 K), and those with every
coordinate moved by normal noise of 0.05, 0.2 and 0.5 Å: bonds of half and of twice their length. Left
out are those with two atoms nearer than 0.25 Å, where the translation goes on as a tangent by design.
Times are of the process's CPU, so that what else runs counts little.
"""

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("OPENMM_CPU_THREADS", "1")
if hasattr(os, "sched_setaffinity"):  # One core for both, whatever their threads do.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import argparse
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import openmm
from openmm import app

from hiflow_openmm import OpenMMEnergy, in_openmm, langevin

MORE = [("amber19-all.xml",)] + [
    ("amber19-all.xml", f"implicit/{solvent}.xml")
    for solvent in ("hct", "obc1", "obc2", "gbn", "gbn2")
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=500, help="of each temperature")
    parser.add_argument("--seconds", type=float, default=5.0, help="to time each for; 0 for none")
    parser.add_argument("--only", nargs="+", help="force fields with one of these in their names")
    given = parser.parse_args()
    sets = geometries(given.frames)
    print(
        "| force field | geometries | of them | energy, float64 | forces | energy, float32 | forces |"
    )
    print("|---|---|---:|---:|---:|---:|---:|")
    made: dict[str, Any] = dict(OpenMMEnergy.presets) | {
        ", ".join(forcefield): {"pdb": "aldp", "forcefield": forcefield} for forcefield in MORE
    }
    made |= {
        "charmm36.xml": charmm(),
        "charmm36.xml, implicit/gbn2.xml": charmm("implicit/gbn2.xml"),
    }
    for name, arguments in made.items():
        if given.only is not None and not any(part in name for part in given.only):
            continue
        agreement(name, arguments, sets)
    if given.seconds > 0:
        print()
        speed(given.seconds)


def charmm(*more: str) -> dict[str, Any]:
    """Alanine dipeptide in `charmm36.xml`, which has two residues with its atoms and bonds: ALAD, and
    AANM, which is left out."""
    pdb = app.PDBFile(str(files("hiflow_openmm") / "data" / "aldp.pdb"))
    field = app.ForceField("charmm36.xml", *more)
    for known in field._templateSignatures.values():
        known[:] = [template for template in known if template.name != "AANM"]
    system = field.createSystem(pdb.topology, nonbondedMethod=app.NoCutoff)
    return {"system": system, "positions": pdb.positions, "topology": pdb.topology}


def agreement(name: str, made: dict[str, Any], sets: dict[str, np.ndarray]) -> None:
    """The largest relative differences of energies and forces, in float64 and float32."""
    points = np.concatenate(list(sets.values()))
    values, forces = in_openmm(OpenMMEnergy(**made), points)
    size = np.abs(forces).max(axis=(1, 2))
    off = {}
    for x64 in (True, False):
        with jax.enable_x64(x64):
            energy = OpenMMEnergy(**made)
            assert energy.rest is None, f"{name} is not JAX alone"
            both = jax.jit(lambda x, e=energy: jax.lax.map(jax.value_and_grad(e), x, batch_size=64))
            ours, slopes = map(np.asarray, both(jnp.asarray(points, float)))
        off[x64] = (
            np.abs(ours - values) / np.maximum(1, np.abs(values)),
            np.abs(slopes + forces).max(axis=(1, 2)) / size,
        )
    ends = np.cumsum([len(part) for part in sets.values()])
    for (what, part), end in zip(sets.items(), ends, strict=True):
        columns = [f"{one[end - len(part) : end].max():.1e}" for x64 in off for one in off[x64]]
        print("| " + " | ".join([name, what, str(len(part)), *columns]) + " |", flush=True)


def geometries(frames: int) -> dict[str, np.ndarray]:
    """By what was done to them."""
    found = {}
    for kelvin in (300.0, 1000.0):
        energy = OpenMMEnergy.preset("aldp", temperature=kelvin)
        samples = langevin(energy, size=frames, chains=4, interval=0.02, equilibration=1.0)
        found[f"thermal, {kelvin:g} K"] = np.asarray(samples.points, np.float64)
    rng = np.random.default_rng(0)
    thermal = found["thermal, 300 K"]
    for noise in (0.05, 0.2, 0.5):
        moved = thermal + noise * rng.normal(size=thermal.shape)
        apart = np.linalg.norm(moved[:, :, None] - moved[:, None], axis=-1) + np.eye(22)
        found[f"moved by {noise} Å"] = moved[apart.min(axis=(1, 2)) > 0.25]
    return found


def speed(seconds: float) -> None:
    """Forces a second, one geometry after the other in OpenMM and batched here."""
    energy = OpenMMEnergy.preset("aldp")
    rng = np.random.default_rng(0)
    points = np.asarray(energy.positions) + 0.05 * rng.normal(size=(256, 22, 3))
    host = rate(lambda: in_openmm(energy, points[:64], platform="CPU"), 64, seconds)
    print(f"OpenMM {openmm.version.full_version}, CPU platform, one core: {host:8.0f} forces/s")
    context = openmm.Context(
        energy.system,
        openmm.LangevinMiddleIntegrator(300, 1, 0.0005),
        openmm.Platform.getPlatformByName("CPU"),
    )
    context.setPositions(points[0] / 10)
    steps = rate(lambda: context.getIntegrator().step(200), 200, seconds)
    print(f"its Langevin dynamics:                  {steps:8.0f} steps/s")
    for batch in (1, 16, 64, 256):
        x = jnp.asarray(points[:batch], jnp.float32)
        both = jax.jit(jax.vmap(jax.value_and_grad(energy)))
        ours = rate(lambda both=both, x=x: jax.block_until_ready(both(x)), batch, seconds)
        print(
            f"translated, float32, batch of {batch:4}:      {ours:8.0f} forces/s, {ours / host:.1f} × "
            "OpenMM's"
        )
    hessians = jax.jit(lambda x: jax.lax.map(jax.hessian(energy), x, batch_size=8))
    x = jnp.asarray(points[:16], jnp.float32)
    ours = rate(lambda: jax.block_until_ready(hessians(x)), 16, seconds)
    print(
        f"translated, float32, exact Hessians:    {ours:8.0f} /s, {132 * ours / host:.0f} × those by "
        "132 forces of OpenMM"
    )


def rate(call: Callable[[], object], number: int, seconds: float) -> float:
    """How many a second of CPU time, so that what else runs doesn't count."""
    call()
    began, done = time.process_time(), 0
    while time.process_time() - began < seconds:
        call()
        done += number
    return done / (time.process_time() - began)


if __name__ == "__main__":
    main()
