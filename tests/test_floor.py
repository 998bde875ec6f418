"""The thermodynamic integration of experiments/lj55: where the entropy is known, and how it resumes."""

import argparse
import importlib.util
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist

import hiflow as hf

FILE = Path(__file__).parents[1] / "experiments/lj55/floor.py"
PAIR = hf.energies.LennardJones(2, epsilon=6.0, trap=2.0)
GIVEN = argparse.Namespace(
    intervals=24, chains=128, burn_in=40, updates=80, leapfrog=8, shorter=100.0
)


@pytest.fixture(scope="module")
def floor():
    spec = importlib.util.spec_from_file_location("floor", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("stages")


@pytest.fixture(scope="module")
def ways(floor, place):
    return {way: floor.stages(PAIR, way, GIVEN, place / way) for way in ("up", "down")}


def test_two_particles_have_the_entropy_of_their_radial_integral(floor, ways):
    found = floor.result(PAIR, ways, GIVEN.intervals)
    y = np.linspace(0.3, 20.0, 400_001)  # The distance over √2, in the centred subspace.
    s = 2 * y**2
    v = 6 * (s**-6 - 2 * s**-3) + y**2
    weights = 4 * np.pi * y**2 * np.exp(-v)
    z = np.trapezoid(weights, y)
    energy = np.trapezoid(weights * v, y) / z
    expected = {"energy": energy, "log_z": np.log(z), "entropy": energy + np.log(z)}
    for name, value in expected.items():
        mean, error = found[name]["both"]
        assert error < 0.1
        assert abs(mean - value) < 4 * error, name
        assert abs(found[name]["apart"]) < 4
    for stage in found["stages"]:
        mean, error = stage["virial"]["both"]
        assert abs(mean - 3) < 5 * error


def test_values_and_gradients_are_those_of_the_energy(floor):
    energy = hf.energies.LennardJones.preset("lj13")
    x = jax.random.normal(jax.random.key(0), (3, 13, 5)).at[:, 0].set(0.1).at[:, 1].set(0.05)
    u, trap, gradient = floor.values_and_gradient(energy, 1.0, x)
    points = x.transpose(2, 1, 0)
    values, gradients = jax.vmap(jax.value_and_grad(energy))(points)
    np.testing.assert_allclose(u + trap, values, rtol=1e-5)
    np.testing.assert_allclose(gradient.transpose(2, 1, 0), gradients, rtol=1e-4, atol=1e2)
    halves = floor.values_and_gradient(energy, 0.0, x)
    centred = points - points.mean(1, keepdims=True)
    np.testing.assert_allclose(halves[2].transpose(2, 1, 0), centred, atol=1e-5)
    np.testing.assert_allclose(trap, jnp.sum(centred**2, (1, 2)) / 2, rtol=1e-5)


@pytest.mark.parametrize(("particles", "bonds"), [(13, 42), (55, 234)])
def test_icosahedra_have_their_bonds(floor, particles, bonds):
    """Bonds along the radius are 1 long, those along a shell 5 % longer."""
    lengths = pdist(floor.icosahedron(particles))
    np.testing.assert_allclose(lengths.min(), 1, rtol=1e-5)
    assert np.sum(lengths < 1.1) == bonds


def test_missing_stages_are_made_again_as_they_were(floor, ways, place):
    (place / "down" / "001.npz").unlink()
    (place / "down" / "002.npz").unlink()
    again = floor.stages(PAIR, "down", GIVEN, place / "down")
    for before, after in zip(ways["down"], again, strict=True):
        for name, values in before.items():
            np.testing.assert_array_equal(after[name], values)


def test_stages_of_other_settings_are_refused(floor, tmp_path):
    floor.begun(tmp_path, {"chains": 8})
    floor.begun(tmp_path, {"chains": 8})
    with pytest.raises(SystemExit, match=r"are of {'chains': 8}\. Give another folder"):
        floor.begun(tmp_path, {"chains": 9})


MEASURED = {"lj55": "floor", "lj13": "floor-lj13", "lj13-eps1": "floor-lj13-eps1"}


@pytest.mark.parametrize("preset", MEASURED)
def test_the_presets_tell_what_was_measured(preset):
    found = json.loads((FILE.parent / f"{MEASURED[preset]}.json").read_text())
    mean, error = found["entropy"]["both"]
    bounds = hf.energies.LennardJones.preset(preset).entropy()
    assert bounds is not None
    low, high = bounds
    assert low < mean - error < mean + error < high
    assert abs(found["entropy"]["apart"]) < 3
    assert abs(found["quadrature"]["both"][0]) < error
