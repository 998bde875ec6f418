"""The laws of the components, by hiflow's own kit, and that they are found by name."""

import jax
import pytest

import hiflow as hf
from hiflow import experiments
from hiflow_template import Banana, Logarithmic


def test_energy_obeys_its_laws():
    with jax.enable_x64(True):
        hf.testing.check_energy(Banana())


def test_spectral_map_obeys_its_laws():
    hf.testing.check_spectral_map(Logarithmic())


def test_paths_with_both_obey_their_laws():
    path = hf.paths.Linearised(Banana(), rates=Logarithmic())
    with jax.enable_x64(True):
        hf.testing.check_path(path, prior=hf.priors.Normal(2))


def test_both_are_found_by_name():
    assert hf.energies.registry.get("my-banana") is Banana
    assert hf.spectral.registry.get("my-logarithmic") is Logarithmic


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="steepness"):
        Banana(steepness=-1.0)


def test_the_experiment_is_found_by_its_name_and_built():
    experiment = experiments.read("my-banana-quick")
    energy = experiments.make_energy(experiment)
    for arm in experiment.arms:
        experiments.make_arm(experiment, arm, energy, (2,), jax.random.key(0))
