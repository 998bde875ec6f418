"""Every built-in component obeys the laws of its family, by the same functions that users call.

Each is checked as `example` makes it, by its registry; below are further cases.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from built_in import own
from hiflow import (
    energies,
    groups,
    hessians,
    networks,
    priors,
    spectral,
    times,
)
from hiflow.registry import families
from hiflow.testing import (
    check,
    check_energy,
    check_group,
    check_hessian,
    check_prior,
    check_spectral_map,
    check_time_transform,
    check_velocity_field,
    example,
)

ENERGIES = {
    "bead-chain": lambda: energies.BeadChain.preset("chain8"),
    "double-well": energies.DoubleWell,
    "double-well-particles": lambda: energies.DoubleWellParticles.preset("dw4"),
    "energy-network": energies.EnergyNetwork.example,
    "fitted-gaussian": energies.FittedGaussian.example,
    "fitted-mixture": energies.FittedMixture.example,
    "function": lambda: energies.FunctionEnergy(lambda x: (x**4).sum(), shape=(2,)),
    "funnel": lambda: energies.Funnel(4, 1.0),
    "gaussian": lambda: energies.Gaussian(np.array([1.0, -1.0]), np.array([1.0, 100.0])),
    "gaussian-mixture": lambda: energies.GaussianMixture(
        np.array([[-1.0, 0.0], [1.0, 0.5]]), np.array([3.0, 5.0])
    ),
    "host": energies.HostEnergy.example,
    "kernel-density": energies.KernelDensity.example,
    "lattice-phi4": lambda: energies.LatticePhi4(3),
    "lennard-jones": lambda: energies.LennardJones(4, 2),
    "lennard-jones-13": lambda: energies.LennardJones.preset("lj13"),
    "muller-brown": energies.MullerBrown,
    "ring": energies.Ring,
}
AS_EXAMPLES = {
    "bead-chain", "double-well", "energy-network", "fitted-gaussian", "fitted-mixture", "host",
    "kernel-density", "muller-brown", "ring",
}  # fmt: skip
"""Those that are as `example` makes them."""

GROUPS = {
    "cyclic": (groups.Cyclic(), (4, 4)),
    "dihedral": (groups.Dihedral(), (4, 4)),
    "linear-representation": (groups.LinearRepresentation.example(), (2,)),
    "permutation": (groups.Permutation(), (4, 2)),
    "permutation-of-species": (groups.Permutation(species=("A", "B", "A", "A")), (4, 2)),
    "product": (energies.LennardJones(4, 3).group, (4, 3)),
    "rotation": (groups.Rotation(3), (4, 3)),
    "translation": (groups.Translation(), (4, 2)),
    "trivial": (groups.Trivial(), (3,)),
}
PRIORS = {
    "centred-normal": lambda: priors.CentredNormal(5, 3, scale=0.7),
    "normal": lambda: priors.Normal((2,), scale=2.0),
}
NETWORKS = {
    "egnn": lambda key: networks.EGNN(3, 2, width=4, depth=1, key=key),
    "mlp": lambda key: networks.MLP((2,), width=8, depth=2, key=key),
    "mlp-centred": lambda key: networks.MLP((3, 2), 8, 2, projects_on="translation", key=key),
    "unet": lambda key: networks.UNet((5, 4, 2), width=4, heads=2, key=key),
}
HESSIANS = [
    ("dense", "ring"),
    ("dense", "function"),
    ("analytic", "gaussian"),
    ("analytic", "double-well-particles"),
    ("block-diagonal", "kernel-density"),
    ("diagonal", "double-well"),
    ("estimated-diagonal", "kernel-density"),
    ("gauss-newton", "ring"),
    ("lanczos", "double-well"),
    ("low-rank", "kernel-density"),
    ("low-rank", "fitted-mixture"),
    ("quenched", "double-well"),
    ("shared-basis", "fitted-gaussian"),
    ("shared-basis", "fitted-mixture"),
    ("symmetry-projected", "lennard-jones"),
]


OWN = [(family, name) for family, registry in families().items() for name in own(registry)]


@pytest.mark.parametrize(("family", "name"), OWN)
def test_every_built_in_obeys_the_laws_of_its_family(family, name, x64):
    assert check(example(families()[family], name))


@pytest.mark.parametrize("name", sorted(set(ENERGIES) - AS_EXAMPLES))
def test_energy_obeys_its_laws(name, x64):
    found = check_energy(ENERGIES[name]())
    assert {"finite", "invariance"} <= set(found)


@pytest.mark.parametrize(("name", "energy"), HESSIANS)
def test_hessian_obeys_its_laws(name, energy, x64):
    check_hessian(example(hessians.registry, name), ENERGIES[energy]())


@pytest.mark.parametrize("cutoff", [0.0, 1e-3])
@pytest.mark.parametrize("name", own(times.registry))
def test_time_transform_obeys_its_laws(name, cutoff, x64):
    table = {"name": name} if name == "linear" else {"name": name, "cutoff": cutoff}
    check_time_transform(times.registry.make(table))


@pytest.mark.parametrize("name", GROUPS)
def test_group_obeys_its_laws(name, x64):
    check_group(*GROUPS[name])


@pytest.mark.parametrize("name", PRIORS)
def test_prior_obeys_its_laws(name, x64):
    check_prior(PRIORS[name]())


@pytest.mark.parametrize("name", NETWORKS)
def test_velocity_field_obeys_its_laws(name, x64):
    check_velocity_field(NETWORKS[name](jax.random.key(1)))


def test_laws_hold_in_single_precision():
    check_hessian(hessians.Analytic(), ENERGIES["lennard-jones-13"]())
    check_prior(PRIORS["centred-normal"]())
    for name in own(spectral.registry):
        check_spectral_map(spectral.registry.make(name))
    for name in own(times.registry):
        check_time_transform(times.registry.make(name))


def test_relaxed_points_lie_below_their_draws():
    energy, key = hf.energies.LennardJones(4, 2), jax.random.key(0)
    draws, relaxed = (hf.testing.relaxed_points(energy, key, 5, steps=steps) for steps in (0, 60))
    assert (jax.vmap(energy)(relaxed) < jax.vmap(energy)(draws)).all()


def test_checks_are_reached_from_the_package():
    found = hf.testing.check_energy(energies.DoubleWell())
    assert all(isinstance(violation, float) for violation in found.values())
    assert jnp.isfinite(jnp.asarray(list(found.values()))).all()
