"""What an OpenMM energy is made from, and what it refuses."""

import hiflow as hf
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from openmm import app, unit

from hiflow_openmm import OpenMMEnergy


def two_atoms(*forces):
    system = openmm.System()
    for _ in range(2):
        system.addParticle(16.0)
    for force in forces:
        system.addForce(force)
    return system


APART = np.array([[0.0, 0, 0], [0, 0, 0.12]])


def test_made_from_a_table():
    energy = hf.energies.registry.make({"name": "openmm", "preset": "aldp", "temperature": 310.0})
    assert isinstance(energy, OpenMMEnergy)
    assert energy.event_shape == (22, 3)
    assert energy.units == hf.energies.Units(310.0, "Å")
    assert len(energy.bonds) == 21


def test_positions_are_read_in_their_unit():
    plain = OpenMMEnergy(system=two_atoms(), positions=APART)
    quantity = OpenMMEnergy(system=two_atoms(), positions=10 * APART * unit.angstrom)
    np.testing.assert_allclose(plain.positions, quantity.positions, atol=1e-6)
    np.testing.assert_allclose(plain.positions[1, 2], 0.6, rtol=1e-6)


def periodic():
    system = two_atoms(openmm.NonbondedForce())
    for _ in range(2):
        system.getForce(0).addParticle(0, 0.1, 0)
    system.getForce(0).setNonbondedMethod(openmm.NonbondedForce.PME)
    return system


def constrained():
    system = two_atoms()
    system.addConstraint(0, 1, 0.1)
    return system


def massless():
    system = two_atoms()
    system.setParticleMass(1, 0.0)
    return system


def cut_off():
    force = openmm.NonbondedForce()
    for _ in range(2):
        force.addParticle(0, 0.1, 0)
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffNonPeriodic)
    return two_atoms(force)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "either `pdb` .* or `system`"),
        ({"pdb": "aldp", "system": two_atoms()}, "either `pdb` .* or `system`"),
        ({"pdb": "adlp"}, "'adlp' is no file, nor a molecule that comes with hiflow-openmm: aldp"),
        ({"pdb": "aldp", "forcefield": "amber98.xml"}, r"`forcefield` \['amber98.xml'\] can't be"),
        ({"pdb": "aldp", "forcefield": "tip3p.xml"}, "doesn't fit 'aldp': No template found"),
        ({"pdb": "aldp", "temperature": 0.0}, "`temperature` must be positive"),
        ({"pdb": "aldp", "length": "A"}, "`length` must be one of Å, nm, bohr"),
        ({"system": 3}, "must be an openmm.System, got 3"),
        ({"system": openmm.System()}, "holds no atoms"),
        ({"system": two_atoms()}, r"`positions` must be finite, of shape \(2, 3\)"),
        ({"system": two_atoms(), "positions": APART[:1]}, "`positions` must be finite, of shape"),
        ({"system": periodic(), "positions": APART}, "periodic boundaries"),
        ({"system": constrained(), "positions": APART}, "1 constraints.*constraints=None"),
        ({"system": massless(), "positions": APART}, "particle 1 .* virtual site or has no mass"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(arguments, told):
    with pytest.raises(ValueError, match=told):
        OpenMMEnergy(**arguments)


def test_topology_of_another_system_is_refused():
    with pytest.raises(ValueError, match="`topology` has 0 atoms and `system` 2"):
        OpenMMEnergy(system=two_atoms(), positions=APART, topology=app.Topology())


def test_events_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(22, 3\), got \(3, 22\)"):
        OpenMMEnergy.preset("aldp")(jnp.zeros((3, 22)))


def test_files_of_frames_are_held_against_its_atoms(tmp_path):
    energy = OpenMMEnergy.preset("aldp")
    assert energy.species is not None
    assert energy.species[:6] == (1, 6, 1, 1, 6, 8)
    x = np.asarray(energy.positions)[None]
    for order, name in ((np.arange(22), "own"), (np.arange(22)[::-1], "reversed")):
        frames = hf.data.to_atoms(
            x[:, order], np.asarray(energy.species)[order].tolist(), energy.units, {}, "frames"
        )
        hf.data.write_atoms(tmp_path / f"{name}.extxyz", frames)
    found = hf.data.load(tmp_path / "own.extxyz", energy=energy)
    np.testing.assert_allclose(found.points, x, atol=1e-4)
    with pytest.raises(ValueError, match="its atoms are in another order"):
        hf.data.load(tmp_path / "reversed.extxyz", energy=energy)
    np.save(tmp_path / "nm.npy", x / 10)
    with pytest.raises(ValueError, match="Multiply the positions by 10"):
        hf.data.load(tmp_path / "nm.npy", energy=energy)


def test_a_system_without_a_topology_has_no_elements():
    bare = OpenMMEnergy(system=two_atoms(), positions=APART)
    assert bare.species is None
    assert hf.energies.species_of(bare) is None
