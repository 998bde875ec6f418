"""The laws of every energy: invariance, finite gradients, and the closed-form Hessian."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiflow.energies import (
    AbstractEnergy,
    BeadChain,
    DoubleWell,
    DoubleWellParticles,
    FunctionEnergy,
    Funnel,
    Gaussian,
    GaussianMixture,
    LatticePhi4,
    LennardJones,
    MullerBrown,
    Ring,
    SupportsEntropy,
    SupportsHessian,
    SupportsSampling,
    registry,
)
from hiflow.groups import Permutation, Rotation

MATRIX = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 4.0]])
ENERGIES = {
    "gaussian": lambda: Gaussian(np.array([0.5, -1.0, 2.0]), MATRIX),
    "gaussian-diagonal": lambda: Gaussian(jnp.ones((2, 2)), [1.0, 2.0, 3.0, 4.0]),
    "gaussian-isotropic": lambda: Gaussian(jnp.zeros(2), 2.0, group=Rotation(2)),
    "mixture": lambda: GaussianMixture(np.eye(3) * 2, np.stack([MATRIX, MATRIX / 2, MATRIX * 2])),
    "mixture-isotropic": lambda: GaussianMixture([[-1.0, 0.0], [1.0, 0.5]], 3.0, [1.0, 3.0]),
    "mixture-diagonal": lambda: GaussianMixture([[-1.0, 0.0], [1.0, 0.5]], [[1, 2], [3, 4]]),
    "double-well": DoubleWell,
    "ring": Ring,
    "muller-brown": MullerBrown,
    "funnel": lambda: Funnel(4, 1.5),
    "phi4": lambda: LatticePhi4.preset("6x6"),
    "phi4-other": lambda: LatticePhi4(3, 0.7, 2.0),
    "lj13": lambda: LennardJones.preset("lj13"),
    "lj5-plane": lambda: LennardJones(5, 2, epsilon=0.5, r_m=1.3, trap=0.2),
    "dw4": lambda: DoubleWellParticles.preset("dw4"),
    "chain8": lambda: BeadChain.preset("chain8"),
    "dw5": lambda: DoubleWellParticles(5, 3, a=0.3, b=-2.0, c=0.5, d0=2.0),
    "function": lambda: FunctionEnergy(lambda x: (x**4).sum(), shape=(4, 2), group=Permutation()),
}


def energy_of(name) -> AbstractEnergy:
    return ENERGIES[name]()


every_energy = pytest.mark.parametrize("name", ENERGIES)


@eqx.filter_jit
def value_and_gradient(energy, x):
    return jax.value_and_grad(energy)(x)


def event(energy, seed, scale=1.0):
    return scale * jax.random.normal(jax.random.key(seed), energy.event_shape)


@every_energy
def test_energy_is_invariant_under_its_group(name, x64):
    energy = ENERGIES[name]()
    value = eqx.filter_jit(energy)
    for seed in range(5):
        x = event(energy, seed)
        g = energy.group.sample(jax.random.key(seed + 100), energy.event_shape)
        np.testing.assert_allclose(value(energy.group.act(g, x)), value(x), rtol=1e-8)


@every_energy
def test_hessian_is_that_of_automatic_differentiation(name, x64):
    energy = energy_of(name)
    if name == "function":
        assert not isinstance(energy, SupportsHessian)
        return
    assert isinstance(energy, SupportsHessian)
    closed, automatic = (
        jax.jit(lambda x: energy.hessian(x)),
        jax.jit(jax.hessian(lambda x: energy(x))),
    )
    for seed in range(3):
        x = event(energy, seed)
        expected = automatic(x).reshape(x.size, x.size)
        tolerance = 1e-11 * float(jnp.abs(expected).max())
        np.testing.assert_allclose(closed(x), expected, atol=tolerance)


@every_energy
@settings(max_examples=10)
@given(seed=st.integers(0, 2**20), scale=st.sampled_from([1e-6, 1e-2, 1.0, 10.0]))
def test_value_and_gradient_are_finite_in_single_precision(name, seed, scale):
    energy = ENERGIES[name]()
    value, gradient = value_and_gradient(energy, event(energy, seed, scale))
    assert bool(jnp.isfinite(value))
    assert bool(jnp.isfinite(gradient).all())


@pytest.mark.parametrize("name", ["lj13", "lj5-plane", "dw4", "dw5", "ring", "chain8"])
def test_coinciding_points_have_a_finite_gradient_and_hessian(name):
    energy = ENERGIES[name]()
    x = jnp.zeros(energy.event_shape)
    for derivative in (jax.grad(energy), jax.hessian(energy), energy.hessian):
        assert bool(jnp.isfinite(jax.jit(lambda x, f=derivative: f(x))(x)).all())


def test_overlapping_particles_are_pushed_apart():
    energy = LennardJones.preset("lj13")
    x = event(energy, 0).at[1].set(event(energy, 0)[0] + jnp.array([1e-4, 0.0, 0.0]))
    value, gradient = jax.value_and_grad(energy)(x)
    assert 1e6 < float(value) < 1e9
    assert float(gradient[1, 0]) < 0 < float(gradient[0, 0])


def test_core_changes_no_thermal_energy(x64):
    # Outside the core the pair sum is the formula itself, to the last digit that matters.
    energy = LennardJones.preset("lj13")
    x = 1.2 * event(energy, 1)
    d = np.linalg.norm(x[:, None] - x[None], axis=-1)[np.triu_indices(13, 1)]
    trap = 0.5 * float(jnp.sum((x - x.mean(0)) ** 2))
    assert d.min() > 0.3
    expected = 2 * np.sum(d**-12.0 - 2 * d**-6.0) + trap
    np.testing.assert_allclose(energy(x), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["lj5-plane", "dw5"])
def test_pair_energy_is_continuously_differentiable_at_the_core(name, x64):
    energy = ENERGIES[name]()
    core = float(energy.core)

    def pair(d):
        far = 5.0 * jnp.arange(energy.particles)[:, None] * jnp.ones(energy.dim)
        return energy(far.at[1].set(far[0].at[0].add(d)))

    inside, outside = core * (1 - 1e-9), core * (1 + 1e-9)
    np.testing.assert_allclose(pair(inside), pair(outside), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(pair)(inside), jax.grad(pair)(outside), rtol=1e-6)


def test_many_particles_have_the_same_formula_as_few(x64):
    # From 65 particles on, pairs are gathered instead of multiplied out.
    energy = LennardJones(70, 3)
    x = 4.0 * event(energy, 0)
    d = np.linalg.norm(x[:, None] - x[None], axis=-1)[np.triu_indices(70, 1)]
    assert d.min() > 0.3
    expected = np.sum(d**-12.0 - 2 * d**-6.0) + 0.5 * float(jnp.sum((x - x.mean(0)) ** 2))
    np.testing.assert_allclose(energy(x), expected, rtol=1e-10)


def test_lj13_conventions_differ_by_a_factor_two_in_the_pair_sum(x64):
    two, one = LennardJones.preset("lj13"), LennardJones.preset("lj13-eps1")
    x = event(two, 0)
    trap = 0.5 * jnp.sum((x - x.mean(0)) ** 2)
    np.testing.assert_allclose(two(x) - trap, 2 * (one(x) - trap), rtol=1e-12)
    assert (two.convention, one.convention) == ("lj13", "lj13-eps1")
    # The pair's minimum, at r_m = 1, is -ε.
    np.testing.assert_allclose([two.pair(jnp.ones(())), one.pair(jnp.ones(()))], [-2, -1])


def test_dw4_counts_each_pair_once(x64):
    # A square of side 4 has four pairs in the barrier's place and two on the diagonals.
    square = jnp.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    z = 4 * np.sqrt(2) - 4
    expected = 2 * (-4 * z**2 + 0.9 * z**4)
    np.testing.assert_allclose(DoubleWellParticles.preset("dw4")(square), expected, rtol=1e-12)


EXACT = ["gaussian", "mixture", "mixture-isotropic", "mixture-diagonal", "funnel"]


@pytest.mark.parametrize("name", EXACT)
def test_exact_samples_have_the_virial_and_the_entropy_of_the_energy(name):
    energy = energy_of(name)
    assert isinstance(energy, SupportsSampling)
    assert isinstance(energy, SupportsEntropy)
    x = jax.jit(jax.vmap(energy.sample))(jax.random.split(jax.random.key(0), 20_000))
    virial = jax.jit(jax.vmap(lambda x: jnp.vdot(x, jax.grad(energy)(x))))(x)
    assert abs(virial.mean() - x[0].size) < 4 * virial.std() / np.sqrt(20_000)
    bounds = energy.entropy()
    assert bounds is not None
    low, high = bounds
    constant = 0.0
    if name == "gaussian":  # the mixture's energy is normalised, the Gaussian's isn't
        constant = 1.5 * np.log(2 * np.pi) - np.linalg.slogdet(MATRIX)[1] / 2
    values = jax.jit(jax.vmap(energy))(x)
    margin = 4 * values.std() / np.sqrt(20_000)
    assert low - margin < values.mean() + constant < high + margin


def entropy_on_a_grid(energy, half_width, points=1201):
    axis = jnp.linspace(-half_width, half_width, points)
    grid = jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    v = np.asarray(jax.jit(jax.vmap(energy))(grid), np.float64)
    cell = float(axis[1] - axis[0]) ** 2
    Z = np.exp(-v).sum() * cell
    return np.log(Z) + (np.exp(-v) * v).sum() * cell / Z


@pytest.mark.parametrize(
    ("energy", "half_width"),
    [
        (Ring(), 3.0),
        (Ring(radius=0.5, width=0.4), 4.0),
        (DoubleWell(), 3.5),
        (GaussianMixture([[-1.0, 0.0], [1.0, 0.5]], [[1, 2], [3, 4]], [1.0, 3.0]), 6.0),
        (Gaussian(jnp.zeros(2), [1.0, 5.0]), 6.0),
        (GaussianMixture.preset("two-moons"), 3.5),
        (MullerBrown(), 3.0),
        (MullerBrown(temperature=8.0), 2.5),
    ],
    ids=[
        "ring",
        "wide-ring",
        "double-well",
        "mixture",
        "gaussian",
        "two-moons",
        "brown",
        "cold-brown",
    ],
)
def test_entropy_is_that_of_the_density(energy, half_width):
    bounds = energy.entropy()
    assert bounds is not None
    low, high = bounds
    np.testing.assert_allclose((low, high), entropy_on_a_grid(energy, half_width), atol=2e-3)


def test_mixture_entropy_bounds_hold_in_three_dimensions():
    # Far apart the upper bound is exact, and for equal components the lower one is.
    far = GaussianMixture(100 * np.eye(3), 1.0)
    low, high = far.entropy()
    single = 1.5 * (1 + np.log(2 * np.pi))
    np.testing.assert_allclose((low, high), (single, single + np.log(3)), rtol=1e-6)


def test_moons_lie_along_half_circles():
    energy = GaussianMixture.preset("two-moons")
    x = jax.vmap(energy.sample)(jax.random.split(jax.random.key(0), 4000))
    centres = np.array([[-0.75, -0.375], [0.75, 0.375]])
    from_circle = np.abs(np.linalg.norm(x[:, None] - centres, axis=-1) - 1.5).min(1)
    np.testing.assert_allclose(np.sqrt(np.mean(from_circle**2)), 0.08, rtol=0.1)
    angles = np.linspace(0.5, np.pi - 0.5, 100)
    along = centres[0] + 1.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert np.ptp(jax.vmap(energy)(along)) < 0.5  # Without gaps between components.


def test_directions_of_the_ten_dimensional_mixture_span_a_factor_twenty(x64):
    energy = GaussianMixture.preset("mixture10")
    widths = np.linalg.eigvalsh(np.asarray(energy.precisions, np.float64)) ** -0.5
    np.testing.assert_allclose(widths, np.tile(np.geomspace(1, 0.05, 10), (4, 1)), rtol=1e-6)


def test_a_field_is_kept_by_translations_and_by_its_sign(x64):
    energy = LatticePhi4(5, -1.0, 3.0)
    x = event(energy, 0)
    moved = jnp.roll(x, (1, -2), axis=(0, 1))
    np.testing.assert_allclose([energy(moved), energy(-x)], energy(x), rtol=1e-12)


def test_plane_waves_of_a_flat_field_have_the_lattice_dispersion(x64):
    energy = LatticePhi4(6, 0.5, 2.0)
    k = 2 * np.pi * np.arange(6) / 6
    waves = 8 - 4 * (np.cos(k)[:, None] + np.cos(k)) + 2 * 0.5 + 12 * 2.0 * 0.3**2
    found = jnp.linalg.eigvalsh(energy.hessian(jnp.full((6, 6), 0.3)))
    np.testing.assert_allclose(found, np.sort(waves.ravel()), rtol=1e-12)


def test_a_chain_stays_in_shape_at_its_minimum():
    energy = BeadChain.preset("chain8", repulsion=0.0)
    turn, angle = jnp.pi, jnp.deg2rad(110.0)
    # All torsions at 180 degrees: a zigzag in the plane.
    up = jnp.sin(turn / 2 - angle / 2) * (jnp.arange(8) % 2)
    x = jnp.stack([jnp.sin(angle / 2) * jnp.arange(8), up, jnp.zeros(8)], axis=1)
    value, gradient = jax.value_and_grad(energy)(x)
    assert float(value) < 1e-2
    assert float(jnp.abs(gradient).max()) < 0.1


def test_entropies_of_presets_are_the_published_floors():
    assert LennardJones.preset("lj13").entropy() == (16.9, 17.0)
    bounds = DoubleWellParticles.preset("dw4").entropy()
    assert bounds is not None
    low, high = bounds
    assert low < 6.76 < high
    np.testing.assert_allclose(Ring().entropy(), 1.42, atol=0.01)


def test_no_entropy_is_claimed_for_other_parameters():
    assert LennardJones(13).entropy() is None
    assert LennardJones.preset("lj55", trap=2.0).entropy() is None
    changed = jax.tree.map(lambda leaf: 1.1 * leaf, LennardJones.preset("lj13"))
    assert changed.entropy() is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LennardJones(1), "at least 2 `particles`"),
        (lambda: LennardJones(13, epsilon=-1.0), "`epsilon` must be positive"),
        (lambda: LennardJones(13, trap=-1.0), "`trap` must be at least"),
        (lambda: LennardJones(13, epsilon=1.0, convention="lj13"), "LennardJones.preset"),
        (lambda: LennardJones.preset("lj14"), "lj13, lj13-eps1, lj55"),
        (lambda: LennardJones.preset("lj13")(jnp.zeros((12, 3))), "event shape"),
        (lambda: DoubleWellParticles.preset("dw5"), "must be one of dw4"),
        (lambda: DoubleWellParticles(c=-1.0, particles=4), "`c` must be positive"),
        (lambda: DoubleWellParticles(4, d0=3.0, convention="dw4"), "leave `convention` out"),
        (lambda: BeadChain(3), "at least 4, so that there is a torsion"),
        (lambda: BeadChain(bond=0.0), "`bond` must be positive"),
        (lambda: BeadChain(torsion=-1.0), "`torsion` must be at least"),
        (lambda: BeadChain(rest_angle=180.0), "`rest_angle` must be below"),
        (lambda: BeadChain()(jnp.zeros((7, 3))), "event shape"),
        (lambda: Funnel(1), "`dim` must be a whole number of at least 2"),
        (lambda: Funnel(scale=0.0), "`scale` must be positive"),
        (lambda: Funnel()(jnp.zeros(9)), "event shape"),
        (lambda: LatticePhi4(2), "`side` must be a whole number of at least 3"),
        (lambda: LatticePhi4(coupling=0.0), "`coupling` must be positive"),
        (lambda: LatticePhi4(mass_squared=float("inf")), "inf"),
        (lambda: LatticePhi4.preset("7x7"), "must be one of 6x6"),
        (lambda: GaussianMixture.preset("two-moon"), "two-moons"),
        (lambda: Ring(radius=0.0), "`radius` must be positive"),
        (lambda: Ring()(jnp.zeros(3)), "jax.vmap"),
        (lambda: DoubleWell(barrier=float("nan")), "`barrier` must be positive"),
        (lambda: Gaussian(jnp.zeros(3), jnp.ones((2, 2))), r"number or have shape \(3,\)"),
        (lambda: Gaussian(jnp.zeros(2), [[1.0, 2.0], [2.0, 1.0]]), "positive definite"),
        (lambda: Gaussian(jnp.zeros(2), [[1.0, 0.5], [0.0, 1.0]]), "symmetric"),
        (lambda: Gaussian(jnp.array([jnp.nan]), 1.0), "NaN"),
        (lambda: GaussianMixture(jnp.zeros((2, 2)), 1.0, [1.0, -1.0]), "`weights` must be pos"),
        (lambda: GaussianMixture(jnp.zeros((2, 2)), 1.0, [1.0, 1.0, 1.0]), "one entry for each"),
        (lambda: GaussianMixture(jnp.zeros((2, 2)), [1.0, -1.0]), r"precisions\[1\]"),
        (lambda: FunctionEnergy(lambda x: x**2, shape=(2,)), "float scalar"),
        (lambda: FunctionEnergy("nowhere:f", shape=2), "can't be imported"),
        (lambda: FunctionEnergy("nothing", shape=2), "module:function"),
        (lambda: FunctionEnergy(jnp.sum, shape=(0,)), "positive integers"),
    ],
)
def test_bad_arguments_are_refused_with_the_cure(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_numpy_fields_become_jax_arrays():
    energy = Gaussian(np.zeros(3), MATRIX)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(energy))


def test_energies_differentiate_in_their_parameters():
    energy, x = LennardJones.preset("lj13"), event(LennardJones.preset("lj13"), 0, 2.0)
    gradient = jax.grad(lambda energy: energy(x))(energy)
    trap = 0.5 * jnp.sum((x - x.mean(0)) ** 2)
    np.testing.assert_allclose(gradient.epsilon, (energy(x) - trap) / 2, rtol=1e-4)
    np.testing.assert_allclose(gradient.trap, trap, rtol=1e-5)


def test_registry_makes_energies_as_a_file_names_them():
    made = registry.make({"name": "lennard-jones", "preset": "lj13"})
    assert isinstance(made, LennardJones)
    assert made.convention == "lj13"
    assert registry.make({"name": "double-well-particles", "preset": "dw4"}).event_shape == (4, 2)
    table = {"name": "function", "function": "jax.numpy:sum", "shape": [2]}
    assert float(registry.make(table)(jnp.ones(2))) == 2.0
    for name in registry.names():
        assert registry.get(name).__doc__
