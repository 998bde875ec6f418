"""Forces by expressions: OpenMM's, to all digits, or left to it with the reason."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from hiflow_openmm import OpenMMEnergy, in_openmm
from hiflow_openmm._expressions import NotTranslated, evaluate

ATOMS = 8


@pytest.fixture
def x64():
    """Double precision for identities."""
    with jax.enable_x64(True):
        yield


def agree(energy, points):
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(energy)))(points)
    expected, forces = in_openmm(energy, points)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    np.testing.assert_allclose(gradients, -forces, rtol=1e-9, atol=1e-9 * np.abs(forces).max())


def shaken(energy, noise, number):
    moves = np.random.default_rng(0).normal(size=(number, *energy.event_shape))
    return jnp.asarray(energy.positions + noise * moves)


@pytest.mark.filterwarnings("error")
def test_ff19sb_in_gbn2_is_openmm_s(x64):
    energy = OpenMMEnergy("aldp", ("amber19/protein.ff19SB.xml", "implicit/gbn2.xml"))
    agree(energy, jnp.concatenate([shaken(energy, noise, 4) for noise in (0.02, 0.1, 0.3)]))


def system_of(*forces):
    system = openmm.System()
    for _ in range(ATOMS):
        system.addParticle(12.0)
    for force in forces:
        system.addForce(force)
    return system


def energy_of(*forces):
    k = np.arange(ATOMS)
    helix = np.stack([0.12 * np.cos(1.7 * k), 0.12 * np.sin(1.7 * k), 0.05 * k], axis=1)
    return OpenMMEnergy(system=system_of(*forces), positions=helix, length="Å")


def bonds():
    force = openmm.CustomBondForce("k*d^2*(1+c*d); d=r-rest; c=scale/2")
    force.addGlobalParameter("scale", 3.0)
    for name in ("rest", "k"):
        force.addPerBondParameter(name)
    for i in range(1, ATOMS):
        force.addBond(i - 1, i, [0.1 + 0.01 * i, 100.0 * i])
    return force


def angles():
    force = openmm.CustomAngleForce("select(step(theta-lambda), k*(theta-lambda)^4, -k)")
    for name in ("lambda", "k"):
        force.addPerAngleParameter(name)
    for i in range(2, ATOMS):
        force.addAngle(i - 2, i - 1, i, [0.2 * i, 10.0 * i])
    return force


def torsions():
    """Impropers as CHARMM has them."""
    force = openmm.CustomTorsionForce(f"k*min(d, 2*{math.pi}-d)^2; d=abs(theta-rest)")
    for name in ("rest", "k"):
        force.addPerTorsionParameter(name)
    for i in range(3, ATOMS):
        force.addTorsion(i - 3, i - 2, i - 1, i, [0.3 * i, 2.0])
    return force


def pairs():
    """Lennard-Jones from tables of types, as CHARMM's, with exclusions."""
    force = openmm.CustomNonbondedForce("a(type1, type2)/r^12 - b(type1, type2)/r^6")
    rng = np.random.default_rng(1)
    for name, size in (("a", 1e-7), ("b", 1e-4)):
        table = rng.uniform(size=(3, 3))
        force.addTabulatedFunction(
            name, openmm.Discrete2DFunction(3, 3, list(size * (table + table.T).ravel()))
        )
    force.addPerParticleParameter("type")
    for i in range(ATOMS):
        force.addParticle([i % 3])
    for i in range(1, ATOMS):
        force.addExclusion(i - 1, i)
    return force


def born():
    """A model with a value that leaves exclusions out, and a global parameter."""
    force = openmm.CustomGBForce()
    force.addPerParticleParameter("q")
    force.addGlobalParameter("c", 0.7)
    force.addComputedValue("near", "c*q2*exp(-r/0.3)", openmm.CustomGBForce.ParticlePair)
    force.addComputedValue("B", "1/(1+near^2)", openmm.CustomGBForce.SingleParticle)
    force.addEnergyTerm("q^2*B", openmm.CustomGBForce.SingleParticle)
    force.addEnergyTerm("q1*q2*B1*B2/sqrt(r^2+0.01)", openmm.CustomGBForce.ParticlePair)
    for i in range(ATOMS):
        force.addParticle([0.3 * i - 1])
    force.addExclusion(0, 3)
    force.addExclusion(2, 1)
    return force


@pytest.mark.filterwarnings("error")
def test_forces_by_expressions_are_openmm_s(x64):
    energy = energy_of(bonds(), angles(), torsions(), pairs(), born())
    assert energy.rest is None
    agree(energy, shaken(energy, 0.05, 6))


def test_overlapping_atoms_have_a_finite_gradient():
    energy = energy_of(pairs(), born())
    points = jnp.stack([energy.positions * 0, energy.positions.at[3].set(energy.positions[6])])
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(energy)))(points)
    assert jnp.isfinite(values).all()
    assert jnp.isfinite(gradients).all()


def test_what_has_no_translation_is_left_with_the_reason():
    grouped, smooth = pairs(), openmm.CustomNonbondedForce("f(r)")
    grouped.addInteractionGroup([0, 1], [2, 3])
    smooth.addTabulatedFunction("f", openmm.Continuous1DFunction([0.0, 1.0, 0.0], 0.0, 2.0))
    for _ in range(ATOMS):
        smooth.addParticle([])
    for force, reason in (
        (grouped, "with interaction groups"),
        (smooth, "with a Continuous1DFunction"),
    ):
        with pytest.warns(UserWarning, match=rf"CustomNonbondedForce \({reason}\) can't be"):
            energy = energy_of(force)
        assert energy.rest is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-x^2", -9.0),
        ("2^3^2", 512.0),
        ("(-x)^(-3)+(-x)^3", -1 / 27 - 27),
        ("2*x-1e-1/.5", 5.8),
        ("a; b=1; a=b+x; b=5", 8.0),
        ("or*lambda; or=x; lambda=2", 6.0),
        ("step(x)+10*step(-x)+100*step(0)", 101.0),
        ("select(0, 1, 2)+delta(0)+recip(4)+square(x)+cube(2)", 20.25),
        ("min(x, 2)+max(x, 2)+abs(-1)+floor(1.5)+ceil(1.5)", 9.0),
        ("atan2(1, 1)+erf(0)+erfc(0)+cot(1)*tan(1)+sec(0)+csc(1)*sin(1)", math.pi / 4 + 4),
    ],
)
def test_an_expression_means_what_it_means_in_openmm(x64, text, value):
    np.testing.assert_allclose(evaluate(text, {"x": 3.0}), value, rtol=1e-12)
    system = openmm.System()
    force = openmm.CustomExternalForce(text)
    force.addParticle(system.addParticle(1.0), [])
    system.addForce(force)
    context = openmm.Context(
        system, openmm.VerletIntegrator(1), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions([[3.0, 0.0, 0.0]])
    found = context.getState(energy=True).getPotentialEnergy()
    np.testing.assert_allclose(found.value_in_unit_system(openmm.unit.md_unit_system), value)


def test_whole_numbers_may_be_larger_than_jax_s():
    x = jnp.float32(3.0)
    np.testing.assert_allclose(evaluate("3000000000*x+100000*100000", {"x": x}), 1.9e10, rtol=1e-6)


@pytest.mark.parametrize("text", ["x+y", "gamma(x)", "x and x", "x+", "x[0]"])
def test_an_unknown_expression_is_refused(text):
    with pytest.raises(NotTranslated):
        evaluate(text, {"x": 3.0})
