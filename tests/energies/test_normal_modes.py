"""Vibrations of molecules, by formulas of harmonic springs and by what symmetry demands."""

import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow.energies import (
    HostEnergy,
    Units,
    normal_modes,
    thermodynamics,
    vibrations,
    wave_numbers,
)

STIFFNESS, LENGTH, MASSES = 450_000.0, 0.1128, np.array([12.0, 16.0])  # CO: kJ/mol/nm², nm, Da.
BENT = np.array([[0.0, 0.0, 0.0], [0.9, 0.2, 0.0], [-0.3, 0.9, 0.1]])


def diatomic(length):
    units = Units(300.0, length)
    nm = units.lengths_in("nm")
    stiffness, rest = STIFFNESS * nm**2, LENGTH / nm

    def spring(x):
        u = x[0] - x[1]
        r = np.linalg.norm(u)
        force = -stiffness * (r - rest) * u / r
        return stiffness / 2 * (r - rest) ** 2, np.stack([force, -force])

    def hessian(x):
        u = (x[0] - x[1]) / np.linalg.norm(x[0] - x[1])
        return np.kron(np.array([[1, -1], [-1, 1]]), stiffness * np.outer(u, u))

    energy = HostEnergy(spring, (2, 3), "rotation", hessian=hessian, units=units, unit="kJ/mol")
    return energy, np.array([[0.0, 0.0, 0.0], [0.6, 0.0, 0.8]]) * rest


@pytest.fixture(scope="module")
def springs():
    """Three atoms on springs at their rest lengths, and these positions."""
    rest = np.linalg.norm(BENT[:, None] - BENT[None], axis=-1)[np.triu_indices(3, 1)]

    def value(x):
        i, j = np.triu_indices(3, 1)
        return 50.0 * jnp.sum((jnp.linalg.norm(x[i] - x[j], axis=-1) - rest) ** 2)

    return hf.energies.FunctionEnergy(value, (3, 3))


class Measured(hf.energies.AbstractEnergy):
    """Springs in kT and Å, which say so."""

    inner: hf.energies.AbstractEnergy
    units: Units

    @property
    def event_shape(self):
        return self.inner.event_shape

    @property
    def group(self):
        return self.inner.group

    def __call__(self, x):
        return self.inner(hf.energies.as_event(self, x))


@pytest.mark.parametrize("length", ["Å", "nm", "bohr"])
def test_a_diatomic_has_the_frequency_and_free_energy_of_its_formulas(length):
    modes = normal_modes(*diatomic(length), MASSES)
    reduced = MASSES.prod() / MASSES.sum() * 1.66053906892e-27
    omega = np.sqrt(STIFFNESS * 1e3 / 6.02214076e23 / 1e-18 / reduced)  # rad/s
    np.testing.assert_allclose(modes.wave_numbers, [omega / (2 * np.pi * 2.99792458e10)], rtol=1e-6)
    u = 1.054571817e-34 * omega / (1.380649e-23 * 300)
    found = thermodynamics(modes, 300.0)
    levels = np.exp(-u * np.arange(60))
    partition = np.exp(-u / 2) * levels.sum()
    mean = np.sum((np.arange(60) + 0.5) * u * levels) / levels.sum()
    expected = -np.log(partition), mean, mean + np.log(partition)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    classical = thermodynamics(modes, 300.0, quantum=False)
    np.testing.assert_allclose(classical, (np.log(u), 1.0, 1 - np.log(u)), rtol=1e-5)


def test_modes_are_of_the_equation_of_motion(springs):
    masses = np.array([16.0, 1.0, 2.0])
    modes = normal_modes(Measured(springs, Units(300.0, "Å")), BENT, masses)
    assert modes.wave_numbers.shape == (3,)
    # H d = ω² M d, with the Hessian of springs at rest by hand.
    hessian = np.zeros((9, 9))
    for i, j in zip(*np.triu_indices(3, 1), strict=True):
        u = np.zeros((3, 3))
        u[i] = (BENT[i] - BENT[j]) / np.linalg.norm(BENT[i] - BENT[j])
        u[j] = -u[i]
        hessian += 100.0 * np.outer(u, u)
    flat, weights = modes.directions.reshape(3, 9), np.repeat(masses, 3)
    squares = np.einsum("ka,ab,kb->k", flat, hessian, flat)
    np.testing.assert_allclose(flat @ hessian, squares[:, None] * flat * weights, atol=1e-6)
    np.testing.assert_allclose(flat * weights @ flat.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(
        wave_numbers(squares, Units(300.0, "Å")), modes.wave_numbers, rtol=1e-9
    )


def test_vibrations_neither_move_nor_turn_a_molecule():
    hessian, masses = np.cov(np.random.default_rng(0).normal(size=(9, 30))), np.array([1.0, 5, 2])
    _, directions = vibrations(hessian, BENT, masses)
    moved = masses[:, None] * directions
    np.testing.assert_allclose(moved.sum(1), 0, atol=1e-12)
    np.testing.assert_allclose(np.cross(BENT, moved).sum(1), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "count"),
    [(BENT, 3), (np.outer([0.0, 1.0, 2.5], [1.0, 2.0, 2.0]), 4), (BENT[:1], 0), (BENT[:2], 1)],
    ids=["bent", "linear", "atom", "diatomic"],
)
def test_a_linear_molecule_has_one_vibration_more(x, count):
    squares, directions = vibrations(np.eye(x.size), x)
    np.testing.assert_allclose(squares, np.ones(count))
    assert directions.shape == (count, *x.shape)


def test_an_unstable_direction_is_a_negative_wave_number():
    down, up = wave_numbers(np.array([-2.0, 2.0]), Units(300.0))
    assert down == -up < 0


def test_a_saddle_has_no_thermodynamics():
    modes = normal_modes(*diatomic("Å"), MASSES)._replace(wave_numbers=np.array([-5.0]))
    with pytest.raises(ValueError, match="1 imaginary wave numbers"):
        thermodynamics(modes, 300.0)
    for temperature in (0.0, -300.0, np.nan):
        with pytest.raises(ValueError, match="`temperature` must be a positive number"):
            thermodynamics(modes, temperature)


def test_at_a_few_kelvins_only_the_ground_state_is_left():
    """Without an overflow: hν is 1,000 kT there."""
    cold = thermodynamics(hf.energies.NormalModes(np.array([3_500.0]), np.zeros((1, 2, 3))), 5.0)
    np.testing.assert_allclose(cold.free_energy, 1.438776877 * 3_500 / 5 / 2)
    assert cold.energy == cold.free_energy


def test_what_does_not_fit_is_refused(springs):
    energy, x = diatomic("Å")
    with pytest.raises(ValueError, match="must have `units`"):
        normal_modes(springs, BENT, np.ones(3))
    with pytest.raises(ValueError, match=r"`x` must be finite, of the event shape \(2, 3\)"):
        normal_modes(energy, x[None], MASSES)
    with pytest.raises(ValueError, match="`x` must be finite"):
        normal_modes(energy, x * np.nan, MASSES)
    for masses in (MASSES[:1], -MASSES, MASSES * np.nan):
        with pytest.raises(ValueError, match="`masses` must be one positive number per atom"):
            normal_modes(energy, x, masses)
    with pytest.raises(ValueError, match=r"`masses` must be one for each atom, in Da; got None"):
        normal_modes(energy, x, None)
    with pytest.raises(ValueError, match="must be finite"):
        vibrations(np.full((6, 6), np.nan), x)
    with pytest.raises(ValueError, match="`hessian` over all its coordinates"):
        vibrations(np.eye(3), x)
    with pytest.raises(ValueError, match=r"Measured: `x` must have the event shape \(3, 3\)"):
        Measured(springs, Units(300.0))(jnp.asarray(x))


def test_an_event_is_of_floats_in_its_own_precision(springs):
    assert hf.energies.as_event(springs, np.ones((3, 3), int)).dtype == jnp.result_type(float)
    assert hf.energies.as_event(springs, jnp.ones((3, 3), jnp.float16)).dtype == jnp.float16
    with pytest.raises(ValueError, match="`x` must be real, got complex"):
        hf.energies.as_event(springs, 1j * np.ones((3, 3)))
    with pytest.raises(ValueError, match="`x` must be an array of numbers, got 'here'"):
        hf.energies.as_event(springs, "here")
