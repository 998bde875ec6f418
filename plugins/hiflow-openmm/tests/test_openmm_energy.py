"""The energy is OpenMM's, to all digits, and obeys the laws of an energy."""

import copy
import math

import equinox as eqx
import hiflow as hf
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from hiflow.groups import Permutation, Rotation

from hiflow_openmm import OpenMMEnergy, dihedral, in_openmm, same_chirality, torsions
from hiflow_openmm._maps import coefficients


@pytest.fixture
def x64():
    """Double precision for identities."""
    with jax.enable_x64(True):
        yield


def shaken(energy, size, number, seed=0):
    noise = np.random.default_rng(seed).normal(size=(number, *energy.event_shape))
    return jnp.asarray(energy.positions + size * noise)


def agree(energy, points, tolerance=1e-9):
    """Energies and forces of both, relative to their size."""
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(energy)))(points)
    expected, forces = in_openmm(energy, points)
    assert np.max(np.abs(values - expected) / (1 + np.abs(expected))) < tolerance
    size = np.abs(forces).max(axis=(1, 2), keepdims=True)
    assert np.max(np.abs(gradients + forces) / size) < tolerance


@pytest.mark.parametrize("preset", OpenMMEnergy.presets)
def test_energies_and_forces_are_openmm_s(x64, preset):
    energy = OpenMMEnergy.preset(preset)
    agree(energy, jnp.concatenate([shaken(energy, size, 10) for size in (0.02, 0.1, 0.5)]))


@pytest.mark.parametrize("atoms", [9, 70])
def test_any_parameters_are_translated(x64, atoms):
    """Phases that are no multiples of π, every order of torsions, exceptions, dielectric constants;
    few atoms and many."""
    energy = OpenMMEnergy(system=odd_system(atoms), positions=odd_positions(atoms), length="nm")
    agree(energy, shaken(energy, 0.003, 5))


def test_a_map_is_a_smooth_function_through_its_table():
    table = np.random.default_rng(0).normal(size=(5, 5))
    c = coefficients(table)
    np.testing.assert_allclose(c[:, :, 0, 0], table, atol=1e-12)
    ahead = np.arange(4)
    # Values, slopes and curvatures at the end of a patch are those at the start of the next.
    for ends in (np.ones(4), ahead, ahead * (ahead - 1)):
        power = int(np.argmax(ends > 0))
        starts = np.eye(4)[power] * ends[power]
        for axis in (0, 1):
            end, start = (np.tensordot(c, by, axes=([2 + axis], [0])) for by in (ends, starts))
            np.testing.assert_allclose(end, np.roll(start, -1, axis=axis), atol=1e-10)


def test_units_change_nothing_but_the_scale(x64):
    energy = OpenMMEnergy.preset("aldp", temperature=300.0)
    other = OpenMMEnergy.preset("aldp", temperature=600.0, length="nm")
    x = shaken(energy, 0.05, 1)[0]
    np.testing.assert_allclose(
        eqx.filter_jit(other)(x / 10), eqx.filter_jit(energy)(x) / 2, rtol=1e-12
    )
    assert str(energy.units) == "1 kT = 2.494 kJ/mol = 0.02585 eV at 300 K, lengths in Å"


def test_single_precision_is_good_to_a_thousandth_of_kT():
    energy = OpenMMEnergy.preset("aldp")
    points = shaken(energy, 0.05, 20)
    expected, _ = in_openmm(energy, points)
    np.testing.assert_allclose(jax.jit(jax.vmap(energy))(points), expected, atol=1e-3, rtol=1e-6)


def test_hessian_is_the_derivative_of_openmm_s_forces(x64):
    energy = OpenMMEnergy.preset("aldp")
    x = shaken(energy, 0.03, 1)[0]
    hessian = jax.jit(jax.hessian(energy))(x).reshape(66, 66)
    step = 1e-4
    moves = step * jnp.eye(66).reshape(66, 22, 3)
    _, ahead = in_openmm(energy, x + moves)
    _, behind = in_openmm(energy, x - moves)
    expected = (behind - ahead).reshape(66, 66) / (2 * step)
    np.testing.assert_allclose(hessian, expected, atol=1e-5 * np.abs(expected).max())


def test_laws_of_an_energy_hold():
    energy = OpenMMEnergy.example()
    hf.testing.check_energy(energy, points=shaken(energy, 0.05, 4))


def test_overlapping_atoms_have_a_finite_gradient():
    energy = OpenMMEnergy.preset("aldp")
    points = jnp.stack([jnp.zeros((22, 3)), energy.positions.at[3].set(energy.positions[20])])
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(energy)))(points)
    assert jnp.isfinite(values).all()
    assert jnp.isfinite(gradients).all()


def test_group_exchanges_no_atoms():
    permutation, rotation, _ = OpenMMEnergy.preset("aldp").group.groups
    assert isinstance(permutation, Permutation)
    assert permutation.species is not None
    assert len(set(permutation.species)) == 22
    assert isinstance(rotation, Rotation)
    assert rotation.reflections
    _, proper, _ = OpenMMEnergy.preset("aldp", reflections=False).group.groups
    assert isinstance(proper, Rotation)
    assert not proper.reflections


def test_mirror_image_has_the_energy_but_not_the_chirality(x64):
    energy = OpenMMEnergy.preset("aldp")
    points = shaken(energy, 0.05, 8)
    mirrored = points * jnp.array([1.0, 1.0, -1.0])
    batched = jax.jit(jax.vmap(energy))
    np.testing.assert_allclose(batched(mirrored), batched(points), rtol=1e-12)
    assert same_chirality(energy, points).all()
    assert not same_chirality(energy, mirrored).any()


def test_dihedral_is_the_angle_that_was_turned(x64):
    energy = OpenMMEnergy.preset("aldp")
    for angle in (-3.0, -1.0, 0.3, 2.5):
        # IUPAC: looking along the axis, the far bond is turned clockwise by this.
        far = [math.cos(angle), math.sin(angle), 1.0]
        found = dihedral(jnp.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 1.0], far]), (0, 1, 2, 3))
        np.testing.assert_allclose(found, angle, rtol=1e-12)
    found = torsions(energy, energy.positions[None])
    np.testing.assert_allclose(np.degrees(found["phi"]), [-77.5], atol=0.1)
    np.testing.assert_allclose(np.degrees(found["psi"]), [-14.7], atol=0.1)


def test_a_deep_copy_is_the_same_energy():
    energy = OpenMMEnergy.preset("aldp")
    other = copy.deepcopy(energy)
    assert eqx.filter_jit(other)(energy.positions) == eqx.filter_jit(energy)(energy.positions)


def odd_positions(atoms):
    """A helix, in nm."""
    k = np.arange(atoms)
    return np.stack([0.12 * np.cos(1.7 * k), 0.12 * np.sin(1.7 * k), 0.05 * k], axis=1)


def odd_system(atoms):
    rng = np.random.default_rng(1)
    system = openmm.System()
    forces = (
        openmm.HarmonicBondForce(), openmm.HarmonicAngleForce(), openmm.PeriodicTorsionForce(),
        openmm.NonbondedForce(), openmm.GBSAOBCForce(), openmm.CMAPTorsionForce(),
        openmm.CMMotionRemover(),
    )  # fmt: skip
    bonds, angles, torsion, pairs, solvent, maps, _ = forces
    for size in (3, 8, 5):
        maps.addMap(size, 10 * rng.normal(size=size**2))
    for i in range(atoms):
        system.addParticle(12.0)
        charge = rng.uniform(-0.5, 0.5)
        pairs.addParticle(charge, rng.uniform(0.1, 0.2), rng.uniform(0, 1))
        solvent.addParticle(charge, rng.uniform(0.1, 0.2), rng.uniform(0.5, 1.2))
        if i > 0:
            bonds.addBond(i - 1, i, rng.uniform(0.1, 0.2), 1e5)
        if i > 1:
            angles.addAngle(i - 2, i - 1, i, rng.uniform(1.5, 2.5), 400.0)
            pairs.addException(i - 2, i, 0.1 * rng.normal(), 0.15, 0.3)
        if i > 2:
            for n in (1, 2, 3, 6):
                torsion.addTorsion(i - 3, i - 2, i - 1, i, n, rng.uniform(-3, 3), rng.normal())
    for i in range(4, atoms):
        maps.addTorsion(2 * (i % 2), *range(i - 4, i), *range(i - 3, i + 1))
    solvent.setSoluteDielectric(2.0)
    solvent.setSolventDielectric(40.0)
    solvent.setSurfaceAreaEnergy(3.0)
    for force in forces:
        system.addForce(force)
    return system
