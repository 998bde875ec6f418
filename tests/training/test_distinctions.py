"""A network must tell apart what the energy tells apart; one that is only named does."""

import jax
import jax.numpy as jnp
import pytest

import hiflow as hf
from hiflow import experiments
from hiflow.groups import Permutation, Product, Rotation, Translation
from hiflow.networks import EGNN
from hiflow.training._preflight import make_components, make_ready

KEY = jax.random.key(0)
PRIOR = hf.priors.CentredNormal(3, 3)
WEIGHTS = jnp.asarray([1.0, 2.0, 2.0])


def water(x):
    """A spring between all pairs, stiffer between the last two."""
    return sum(
        WEIGHTS[i] * WEIGHTS[j] * jnp.sum((x[i] - x[j]) ** 2) for i in range(3) for j in range(i)
    )


def in_space(*, exchanges, reflections=True):
    return Product((*exchanges, Rotation(3, reflections), Translation()))


def energy(group):
    return hf.energies.FunctionEnergy(water, shape=(3, 3), group=group)


SPECIES = energy(in_space(exchanges=[Permutation(("O", "H", "H"))]))
CHIRAL = energy(in_space(exchanges=[Permutation((8, 1, 1))], reflections=False))
LABELLED = energy(in_space(exchanges=[]))
SILENT = energy("trivial")


def checked(network, energy):
    return make_ready(
        network, hf.paths.OptimalTransport(), PRIOR, energy, hf.Training(coupling="independent")
    )


def arguments(network):
    return network.constructor_arguments()


def egnn(**more):
    return EGNN(3, 3, 4, 1, key=KEY, **more)


@pytest.mark.parametrize(
    ("network", "energy", "words"),
    [
        (egnn(), SPECIES, r"exchanging particles 0 and 1, which are 'O' and 'H'.*\['O', 'H', 'H'\]"),
        (egnn(species=[1, 1, 2]), SPECIES, "exchanging particles 0 and 1"),
        (egnn(species=[8, 1, 1]), CHIRAL, "mirror images. Pass reflections=False"),
        (egnn(), LABELLED, "Pass `species` to EGNN"),
    ],
    ids=["all alike", "others alike", "mirror images", "no exchange"],
)  # fmt: skip
def test_a_network_that_merges_what_the_energy_tells_apart_is_refused(network, energy, words):
    with pytest.raises(ValueError, match=words):
        checked(network, energy)


@pytest.mark.parametrize(
    ("network", "energy"),
    [
        (egnn(species=[8, 1, 1]), SPECIES),
        (egnn(species=range(3), reflections=False), SPECIES),
        (egnn(species=[8, 1, 1], reflections=False), CHIRAL),
        (egnn(species=range(3)), LABELLED),
        (hf.networks.MLP((3, 3), 4, 1, projects_on="translation", key=KEY), CHIRAL),
    ],
)
def test_a_network_may_tell_more_apart(network, energy):
    checked(network, energy)


def test_pairs_are_aligned_by_what_the_network_leaves_alike():
    network = egnn(species=range(3), reflections=False)
    parts = (network, hf.paths.OptimalTransport(), PRIOR, SPECIES)
    with pytest.raises(ValueError, match=r"SymmetryAligned\(network.group\)"):
        make_ready(*parts, hf.Training(coupling="symmetry-aligned"))
    make_ready(*parts, hf.Training(coupling=hf.couplings.SymmetryAligned(network.group)))


def test_an_energy_whose_group_is_silent_is_asked_itself():
    checked(egnn(species=[8, 1, 1]), SILENT)
    with pytest.raises(ValueError, match=r"Permutation.* changes it by"):
        checked(egnn(), SILENT)
    pinned = hf.energies.FunctionEnergy(lambda x: water(x) + x[0, 0] ** 2, shape=(3, 3))
    with pytest.raises(ValueError, match=r"Rotation.* changes it by"):
        checked(egnn(species=range(3)), pinned)
    infinite = hf.energies.FunctionEnergy(lambda x: water(x) / 0.0, shape=(3, 3))
    checked(egnn(), infinite)


@pytest.mark.parametrize(
    ("energy", "species", "reflections"),
    [
        (SPECIES, ("O", "H", "H"), True), (CHIRAL, (8, 1, 1), False), (LABELLED, (0, 1, 2), True),
        (SILENT, None, True), (None, None, True),
    ],
    ids=["species", "chiral", "no exchange", "silent", "none"],
)  # fmt: skip
def test_a_named_network_tells_apart_what_the_energy_does(energy, species, reflections):
    table = {"name": "egnn", "width": 4, "depth": 1}
    parts = (table, "optimal-transport", PRIOR, energy, (3, 3), KEY)
    made = arguments(make_components(*parts)[0])
    assert (made["species"], made["reflections"]) == (species, reflections)
    if energy is not None:
        path = hf.paths.Linearised(energy, hessian="dense")
        made = arguments(make_components(table, path, PRIOR, None, (3, 3), KEY)[0])
        assert made["species"] == species


TOML = """
[energy]
name = "function"
[prior]
name = "centred-normal"
[network]
name = "egnn"
width = 4
depth = 1
{more}
[training]
steps = 1
[[arm]]
label = "OT-FM"
path = {{name = "optimal-transport"}}
"""


def made(place, more):
    (place / "own.toml").write_text(TOML.format(more=more))
    what = experiments.read(place / "own.toml")
    return experiments.make_arm(what, what.arms[0], CHIRAL, (3, 3), KEY).network


def test_an_experiments_network_is_told_and_may_say_so_itself(tmp_path):
    assert arguments(made(tmp_path, ""))["species"] == (8, 1, 1)
    assert not arguments(made(tmp_path, "bonds = [[0, 1], [0, 2]]"))["reflections"]
    own = arguments(made(tmp_path, "species = [0, 1, 2]"))
    assert (own["species"], own["reflections"]) == ((0, 1, 2), False)
    with pytest.raises(experiments.ConfigError, match=r"exchanging particles 0 and 1"):
        made(tmp_path, "species = [1, 1, 2]")
    with pytest.raises(experiments.ConfigError, match="mirror images"):
        made(tmp_path, "reflections = true")
    with pytest.raises(experiments.ConfigError, match="particles 1 and 2 apart"):
        made(tmp_path, "bonds = [[0, 1]]")
