"""The laws of an energy for ASE calculators, and what ASE itself gives."""

import copy
import threading
import time

import equinox as eqx
import hiflow as hf
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.vibrations import Vibrations
from hiflow.groups import Permutation, Rotation

from hiflow_ase import AseEnergy, frequencies, relax


@pytest.fixture
def x64():
    """Double precision for identities."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def both(request):
    """Either precision."""
    with jax.enable_x64(request.param):
        yield


def shaken(energy, seed=0, size=0.05):
    noise = np.random.default_rng(seed).normal(size=energy.event_shape)
    return jnp.asarray(energy.atoms.positions + size * noise)


def in_ase(x, calculator=None, name="H2O"):
    atoms = molecule(name)
    atoms.positions = np.asarray(x, np.float64)
    atoms.calc = EMT() if calculator is None else calculator
    return atoms


class Faulty(Calculator):
    """Works once, then fails."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012  as ASE declares it
    calls = 0

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.calls += 1
        if self.calls > 1:
            raise ArithmeticError("the field did not converge")
        self.results = {"energy": 0.0, "forces": np.zeros((3, 3))}


class Busy(EMT):
    """Counts its calculations and notices a second one that starts during the first."""

    calls, running, overlapped = 0, 0, False

    def calculate(self, *args, **kwargs):
        self.running += 1
        self.overlapped |= self.running > 1
        time.sleep(0.001)
        super().calculate(*args, **kwargs)
        self.running -= 1
        self.calls += 1


# The laws of second derivatives hold to single precision here, in either mode: the energy's
# `displacement` is a float32, and the checks go by the coarsest type among a component's arrays.
# Differences of forces along x, y and z don't turn with the molecule beyond that.


@pytest.mark.parametrize("both", [False, True], indirect=True)
def test_laws_of_an_energy(both):
    hf.testing.check_energy(AseEnergy.example())


@pytest.mark.parametrize("both", [False, True], indirect=True)
@pytest.mark.parametrize("hessian", ["dense", "analytic"])
def test_laws_of_hessians(both, hessian):
    hf.testing.check_hessian(hf.hessians.registry.make(hessian), AseEnergy.example())


def test_laws_of_a_cluster(x64):
    corners = 3.82 * np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.87, 0], [0.5, 0.29, 0.82]])
    # A cutoff beyond the cluster, as the force of ASE's calculator jumps there.
    options = {"sigma": 3.4, "epsilon": 0.0104, "rc": 50.0}
    energy = AseEnergy(Atoms("Ar4", positions=corners), "lj", options, temperature=120.0)
    points = jnp.stack([shaken(energy, seed, 0.15) for seed in range(4)])
    hf.testing.check_energy(energy, points=points)
    hf.testing.check_hessian(hf.hessians.Analytic(), energy, points=points)


def test_energy_and_gradient_are_those_of_ase(x64):
    energy = AseEnergy("CH3OH", temperature=250.0)
    x = shaken(energy)
    atoms = in_ase(x, name="CH3OH")
    value, gradient = jax.jit(jax.value_and_grad(energy))(x)
    kT = units.kB * 250.0
    assert value.dtype == gradient.dtype == jnp.float64
    np.testing.assert_allclose(value * kT, atoms.get_potential_energy(), rtol=1e-13)
    np.testing.assert_allclose(-gradient * kT, atoms.get_forces(), rtol=1e-11, atol=1e-12)


def test_single_precision_events_stay_single():
    energy = AseEnergy("H2O")
    x = shaken(energy).astype(jnp.float32)
    value, gradient = jax.value_and_grad(energy)(x)
    assert value.dtype == gradient.dtype == energy.hessian(x).dtype == jnp.float32
    kT = units.kB * 300.0
    np.testing.assert_allclose(value * kT, in_ase(x).get_potential_energy(), rtol=1e-6)
    np.testing.assert_allclose(-gradient * kT, in_ase(x).get_forces(), rtol=1e-5, atol=1e-5)


def test_double_precision_survives_the_callbacks_thread(x64):
    energy = AseEnergy("H2O")

    @jax.jit
    def heavy(x):
        def step(x, _):
            waste = jnp.ones((300, 300)) * x.sum()
            return x + 1e-9 + 0 * (waste @ waste).sum(), jax.vmap(energy)(x[None])[0]

        return jax.lax.scan(step, x, length=20)[1]

    x = shaken(energy)
    values = heavy(x) * units.kB * 300.0
    expected = [in_ase(x + i * 1e-9).get_potential_energy() for i in range(20)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_values_are_inverse_to_the_temperature(x64):
    cold, hot = AseEnergy("H2O", temperature=150.0), AseEnergy("H2O", temperature=600.0)
    x = shaken(cold)
    np.testing.assert_allclose(cold(x), 4 * hot(x))
    np.testing.assert_allclose(cold.hessian(x), 4 * hot.hessian(x))


def test_second_derivatives_agree_in_all_modes(x64):
    energy = AseEnergy("H2O", displacement=1e-4)
    x = shaken(energy)
    hessian = energy.hessian(x)
    np.testing.assert_array_equal(hessian, hessian.T)
    close = {"rtol": 1e-5, "atol": 1e-4 * jnp.abs(hessian).max()}
    for outer in (jax.jacfwd, jax.jacrev):
        automatic = jax.jit(outer(jax.grad(energy)))(x).reshape(9, 9)
        np.testing.assert_allclose(automatic, hessian, **close)
    v = jax.random.normal(jax.random.key(0), x.shape)
    product = jax.jvp(jax.grad(energy), (x,), (v,))[1]
    np.testing.assert_allclose(product.ravel(), hessian @ v.ravel(), **close)
    transposed = jax.grad(lambda y: jnp.sum(jax.grad(energy)(y) * v))(x)
    np.testing.assert_allclose(transposed, product, **close)
    nothing = jax.jvp(jax.grad(energy), (x,), (jnp.zeros_like(x),))[1]
    np.testing.assert_array_equal(nothing, 0)


def test_costs_in_force_calculations(x64):
    energy = AseEnergy("H2O", Busy())
    counter, x = energy.molecule.calculator, shaken(energy)

    def cost(function, *args):
        before = counter.calls
        jax.block_until_ready(function(*args))
        return counter.calls - before

    assert cost(energy, x) == 1
    assert cost(jax.value_and_grad(energy), x) == 0
    assert cost(jax.value_and_grad(energy), x + 0.01) == 1
    assert cost(energy.hessian, x) == 18
    assert cost(lambda v: jax.jvp(jax.grad(energy), (x + 0.02,), (v,))[1], x) == 3
    assert cost(jax.jit(jax.hessian(energy)), x + 0.03) == 18
    assert cost(jax.jit(jax.hessian(energy)), x + 0.03) == 0


def test_third_derivatives_are_refused():
    energy = AseEnergy("H2O")
    for third in (jax.jacfwd(jax.hessian(energy)), jax.jacrev(energy.hessian)):
        with pytest.raises(ValueError, match="no third derivatives"):
            third(shaken(energy))


def test_lennard_jones_is_the_closed_form(x64):
    epsilon, r_m, temperature = 2.0, 1.5, 120.0
    options = {
        "epsilon": epsilon * units.kB * temperature, "sigma": r_m / 2 ** (1 / 6), "rc": 200.0
    }  # fmt: skip
    points = 1.2 * r_m * jnp.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.2, 0.1, 1]])
    atoms = Atoms("Ar4", positions=points)
    energy = AseEnergy(atoms, "lj", options, temperature=temperature, displacement=1e-4)
    exact = hf.energies.LennardJones(4, epsilon=epsilon, r_m=r_m, trap=0.0)
    np.testing.assert_allclose(energy(points), exact(points), rtol=1e-10)
    gradient = jax.grad(exact)(points)
    np.testing.assert_allclose(jax.grad(energy)(points), gradient, rtol=1e-9, atol=1e-10)
    hessian = exact.hessian(points)
    scale = float(jnp.abs(hessian).max())
    np.testing.assert_allclose(energy.hessian(points), hessian, atol=1e-6 * scale)


def test_relaxed_molecule_has_no_force(x64):
    energy = AseEnergy("H2O")
    x = relax(energy, energy.atoms.positions, fmax=1e-5)
    assert np.linalg.norm(in_ase(x).get_forces(), axis=1).max() < 1e-5
    with pytest.raises(RuntimeError, match="left after 1 steps"):
        relax(energy, energy.atoms.positions, fmax=1e-9, steps=1)
    with pytest.raises(ValueError, match="`fmax` must be positive"):
        relax(energy, x, fmax=0.0)


@pytest.mark.parametrize("name", ["CO2", "CH3CH2OH", "N2"])
def test_relaxed_molecules_vibrate_with_real_frequencies(x64, name):
    energy = AseEnergy(name)
    x = relax(energy, energy.atoms.positions)
    assert np.linalg.norm(in_ase(x, name=name).get_forces(), axis=1).max() < 1e-3
    rigid = 5 if name == "N2" else 6
    ours = frequencies(energy, x)
    assert (np.abs(ours[:rigid]) < 30).all()
    assert (ours[rigid:] > 30).all()


def test_units_are_those_of_the_temperature():
    energy = AseEnergy("H2O", temperature=298.15)
    assert energy.units == hf.energies.Units(298.15, "Å")
    assert energy.species == (8, 1, 1)
    np.testing.assert_allclose(energy.units.kT("eV"), units.kB * 298.15, rtol=1e-6)


def test_the_error_of_the_hessian_is_told(x64):
    energy = AseEnergy("H2O", displacement=0.02)
    x = shaken(energy)
    fine = AseEnergy("H2O", displacement=1e-4)
    error = np.abs(energy.hessian(x) - fine.hessian(x)).max() * energy.units.kT("eV")
    assert error / 2 < energy.difference_error(x).truncation < 2 * error


def test_frequencies_are_those_of_ase(x64, tmp_path):
    energy = AseEnergy("H2O", temperature=77.0)
    x = relax(energy, energy.atoms.positions, fmax=1e-6)
    delta = float(energy.displacement)
    vibrations = Vibrations(in_ase(x), name=str(tmp_path / "vibrations"), delta=delta)
    vibrations.run()
    squares = np.sort(np.real(vibrations.get_frequencies() ** 2))
    ours = frequencies(energy, x)
    np.testing.assert_allclose(np.sign(ours) * ours**2, squares, atol=1e-9 * squares.max())
    assert (np.abs(ours[:6]) < 10).all()
    assert (ours[6:] > 100).all()


def test_anchors_follow_the_curvature(x64):
    energy = AseEnergy("H2O")
    points = jnp.stack([shaken(energy, seed) for seed in range(3)])
    path = hf.paths.Langevin(energy, hessian="analytic", curvature={"name": "absolute"})
    anchors = hf.paths.make_anchors(path, jax.vmap(energy.group.project)(points))
    automatic = hf.paths.make_anchors(
        hf.paths.Langevin(energy, hessian="dense"), jax.vmap(energy.group.project)(points)
    )
    assert anchors.variance.shape == (3, 6)
    assert (anchors.variance > 0).all()
    stiff = slice(4, 6)
    np.testing.assert_allclose(anchors.variance[:, stiff], automatic.variance[:, stiff], rtol=1e-3)
    eigenvalues = jnp.linalg.eigvalsh(energy.hessian(points[0]))
    np.testing.assert_allclose(1 / anchors.variance[0, stiff], eigenvalues[-2:], rtol=1e-2)


def test_group_swaps_atoms_of_one_element_only():
    permutation, rotation, _ = AseEnergy("CH3OH").group.groups
    assert isinstance(permutation, Permutation)
    assert permutation.species == (6, 8, 1, 1, 1, 1)
    assert isinstance(rotation, Rotation)
    assert rotation.reflections


def test_a_deep_copy_has_a_calculator_of_its_own():
    energy = AseEnergy("H2O")
    other = copy.deepcopy(energy)
    x = shaken(energy)
    assert other(x) == energy(x)
    assert other.molecule.calculator is not energy.molecule.calculator


@pytest.mark.parametrize("names", [("H2O", "H2O"), ("H2O", "CH3OH")])
def test_a_calculator_runs_once_at_a_time(names):
    energies = [AseEnergy(name, calculator) for calculator in [Busy()] for name in names]
    points = [jnp.stack([shaken(e, 10 * k + i) for i in range(5)]) for k, e in enumerate(energies)]
    # Compiled beforehand, so that both threads calculate at the same time.
    batched = [
        jax.jit(jax.vmap(energy)).lower(x).compile()
        for energy, x in zip(energies, points, strict=True)
    ]
    values: list = [None, None]

    def run(k):
        values[k] = np.asarray(batched[k](points[k]))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not energies[0].molecule.calculator.overlapped
    for name, found, x in zip(names, values, points, strict=True):
        expected = [in_ase(y, name=name).get_potential_energy() for y in x]
        np.testing.assert_allclose(found * units.kB * 300.0, expected, rtol=1e-5)


def test_positions_that_are_not_finite_give_nan():
    energy = AseEnergy("H2O")
    x = shaken(energy).at[0, 0].set(jnp.nan)
    value, gradient = jax.value_and_grad(energy)(x)
    assert jnp.isnan(value)
    assert jnp.isnan(gradient).all()
    assert jnp.isnan(energy.hessian(x)).all()


@pytest.mark.parametrize("wrap", [lambda f: f, eqx.filter_jit, lambda f: jax.jit(jax.grad(f))])
def test_failures_of_the_calculator_are_told(wrap):
    energy = AseEnergy("H2O", Faulty())
    told = (
        "AseEnergy: calculator Faulty for H2O failed: ArithmeticError: the field did not converge"
    )
    with pytest.raises(RuntimeError, match=told):
        jax.block_until_ready(wrap(energy)(shaken(energy)))


class Total(EMT):
    """Energies of all electrons."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        for name in ("energy", "free_energy"):
            self.results[name] = self.results[name] - 60_000.0


def test_digits_that_single_precision_loses_are_told(x64):
    AseEnergy("H2O", Total())
    with jax.enable_x64(False), pytest.warns(UserWarning, match=r"-59997.* eV float32 keeps .* kT"):
        AseEnergy("H2O", Total())
