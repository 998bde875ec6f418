"""What is made of the energy: samples, minima, vibrations, forces on the host."""

import copy

import hiflow as hf
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from hiflow_openmm import (
    OpenMMEnergy,
    in_openmm,
    langevin,
    minimum,
    normal_modes,
    same_chirality,
    thermodynamics,
    torsions,
)
from hiflow_openmm._moves import sides, turned

STIFFNESS, LENGTH = 450_000.0, 0.1128  # Of carbon monoxide, about: kJ/mol/nm², nm.
MASSES = (12.0, 16.0)


@pytest.fixture
def x64():
    """Double precision for identities."""
    with jax.enable_x64(True):
        yield


def diatomic(length="Å"):
    system = openmm.System()
    bond = openmm.HarmonicBondForce()
    bond.addBond(0, 1, LENGTH, STIFFNESS)
    for mass in MASSES:
        system.addParticle(mass)
    system.addForce(bond)
    return OpenMMEnergy(system=system, positions=np.diag([0.1, 0.0, 0.0])[:2], length=length)


@pytest.mark.parametrize("length", ["Å", "nm"])
def test_a_diatomic_has_the_frequency_and_free_energy_of_its_formulas(length):
    energy = diatomic(length)
    x = minimum(energy)
    nanometres = np.linalg.norm(x[0] - x[1]) * energy.units.lengths_in("nm")
    np.testing.assert_allclose(nanometres, LENGTH, rtol=1e-6)
    modes = normal_modes(energy, x)
    reduced = MASSES[0] * MASSES[1] / sum(MASSES) * 1.66053906892e-27
    omega = np.sqrt(STIFFNESS * 1e3 / 6.02214076e23 / 1e-18 / reduced)  # rad/s
    np.testing.assert_allclose(modes.wave_numbers, [omega / (2 * np.pi * 2.99792458e10)], rtol=1e-6)
    u = 1.054571817e-34 * omega / (1.380649e-23 * 300)
    found = thermodynamics(modes, 300.0)
    levels = np.exp(-u * np.arange(60))
    partition = np.exp(-u / 2) * levels.sum()
    mean = np.sum((np.arange(60) + 0.5) * u * levels) / levels.sum()
    np.testing.assert_allclose(found.free_energy, -np.log(partition), atol=1e-6)
    np.testing.assert_allclose(found.energy, mean, atol=1e-6)
    np.testing.assert_allclose(found.entropy, mean + np.log(partition), atol=1e-6)
    classical = thermodynamics(modes, 300.0, quantum=False)
    np.testing.assert_allclose(classical, (np.log(u), 1.0, 1 - np.log(u)), rtol=1e-5)


def test_alanine_dipeptide_has_sixty_vibrations():
    energy = OpenMMEnergy.preset("aldp")
    x = minimum(energy)
    modes = normal_modes(energy, x)
    assert modes.wave_numbers.shape == (60,)
    assert 10 < modes.wave_numbers[0] < 100  # The backbone.
    assert 3000 < modes.wave_numbers[-1] < 3700  # N–H.
    weighted = (modes.directions * np.sqrt(energy.masses)[:, None]).reshape(60, 66)
    np.testing.assert_allclose(weighted @ weighted.T, np.eye(60), atol=1e-9)


def test_a_saddle_has_no_thermodynamics():
    energy = diatomic()
    modes = normal_modes(energy, minimum(energy))._replace(wave_numbers=np.array([-5.0]))
    with pytest.raises(ValueError, match="1 imaginary wave numbers"):
        thermodynamics(modes, 300.0)
    with pytest.raises(ValueError, match="`temperature` must be a positive number"):
        thermodynamics(modes, 0.0)


def test_turning_leaves_bonds_and_angles_alone(x64):
    energy = OpenMMEnergy.preset("aldp")
    names = {tuple(energy.molecule.names[i].split("-")[1] for i in bond) for bond in energy.turning}
    assert names == {("C", "CH3"), ("CA", "C"), ("CA", "CB"), ("CA", "N"), ("N", "C")}
    stiff = [term for term in energy.bonded if type(term).__name__ in ("Bonds", "Angles")]
    x = energy.positions
    behind = sides(22, energy.bonds, energy.turning)
    for bond, side in zip(energy.turning, behind, strict=True):
        y = turned(x, jnp.asarray(bond), jnp.asarray(side), jnp.asarray(1.0))
        assert jnp.abs(y - x).max() > 0.5
        for term in stiff:
            np.testing.assert_allclose(term(y.T), term(x.T), rtol=1e-9)


def test_chains_start_from_the_molecule_and_cross_over_torsional_barriers():
    energy = OpenMMEnergy.preset("aldp", reflections=False)
    samples = hf.data.sample(
        energy, key=jax.random.key(0), size=240, chains=24, burn_in=30, thin=3, leapfrog_steps=8,
        cache=False, progress=False,
    )  # fmt: skip
    assert same_chirality(energy, samples).all()
    psi = np.asarray(torsions(energy, samples.points)["psi"])
    # All start from ψ = -15°, in the helix; 0.57 are extended in a long run.
    assert 0.3 < np.mean((psi > 1) | (psi < -2)) < 0.85


def test_langevin_dynamics_have_the_temperature():
    energy = diatomic()
    samples = langevin(
        energy, size=400, chains=4, interval=0.5, equilibration=5.0, friction=10.0,
        platform="Reference",
    )  # fmt: skip
    values = jax.vmap(energy)(samples.points)
    assert samples.chains is not None
    assert set(samples.chains) == {0, 1, 2, 3}
    assert abs(values.mean() - 0.5) < 0.15  # Of one vibration, in kT.
    with pytest.raises(ValueError, match="`step` must be positive, got 0"):
        langevin(energy, size=10, step=0)


def test_forces_without_a_translation_are_left_to_openmm(x64):
    system = copy.deepcopy(diatomic().system)
    custom = openmm.CustomCompoundBondForce(2, "10*(distance(p1,p2)-0.2)^4")
    custom.addBond([0, 1])
    system.addForce(custom)
    with pytest.warns(UserWarning, match="CustomCompoundBondForce can't be translated"):
        energy = OpenMMEnergy(system=system, positions=np.diag([0.1, 0.0, 0.0])[:2])
    points = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2, 3)))
    values, gradients = jax.vmap(jax.value_and_grad(energy))(points)
    expected, forces = in_openmm(energy, points)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    np.testing.assert_allclose(gradients, -forces, rtol=1e-9)
    assert "CustomCompoundBondForce" in repr(energy)
