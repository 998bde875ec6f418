"""From a user's .extxyz to samples with weights, and what is refused on the way."""

import shlex
from typing import Any

import ase.io
import hiflow as hf
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from hiflow.cli import app
from typer.testing import CliRunner

from hiflow_ase import AseEnergy

CONFIG = """
seeds = [0]
[energy]
name = "ase"
atoms = "H2O"
[data]
file = ["a.extxyz", "b.extxyz"]
test = 10
[prior]
name = "centred-normal"
[network]
name = "egnn"
width = 4
depth = 1
[training]
steps = 4
batch_size = 8
validate_at = 4
[evaluation]
rtol = 1e-2
atol = 1e-2
[[arm]]
label = "HI-FM"
path = {name = "linearised", hessian = {name = "analytic"}}
"""


def frames(n, seed=0, order=(0, 1, 2), scale=1.0):
    """Water moved about, with thermal noise."""
    rng = np.random.default_rng(seed)
    made = [molecule("H2O")[list(order)] for _ in range(n)]
    for atoms in made:
        atoms.positions = scale * (atoms.positions + rng.normal(size=(len(order), 3)) / 20 + 5)
    return made


def positions(made):
    x = np.stack([atoms.positions for atoms in made])
    return x - x.mean(axis=1, keepdims=True)


def hiflow(command):
    return CliRunner().invoke(app, shlex.split(command), env={"COLUMNS": "300"})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "water.toml").write_text(CONFIG)
    for k, name in enumerate("ab"):
        ase.io.write(f"{name}.extxyz", frames(10, k))
    return tmp_path


@pytest.mark.filterwarnings("ignore:the data don't follow")
def test_from_a_file_to_frames_with_densities(here):
    trained = hiflow("train water.toml --out run")
    assert trained.exit_code == 0, trained.output
    assert "a.extxyz: 10 frames of O H2, lengths in Å; centred; b.extxyz" in trained.output
    assert trained.output.count("1 kT = 2.494 kJ/mol = 0.02585 eV at 300 K, lengths in Å") == 1
    assert "at 300 K, lengths in Å" in (here / "run" / "comparison.md").read_text()
    drawn = hiflow("sample run --size 3 --out x.extxyz")
    assert drawn.exit_code == 0, drawn.output
    found: Any = ase.io.read("x.extxyz", index=":")
    assert [atoms.get_chemical_formula(mode="reduce") for atoms in found] == ["OH2"] * 3
    assert found[0].info["arm"] == "HI-FM"
    flow = hf.load(here / "run" / "seed-0" / "hi-fm" / "flow.hiflow")
    x, log_prob = flow.sample_and_log_prob(jax.random.key(0), 3)
    np.testing.assert_allclose(positions(found), x, atol=1e-5)
    np.testing.assert_allclose([atoms.info["log_prob"] for atoms in found], log_prob, rtol=1e-5)
    refused = hiflow(f"sample {here}/run/seed-0/hi-fm/flow.hiflow --out y.xyz")
    assert "doesn't tell which elements" in refused.output
    assert [atoms.info["chain"] for atoms in found] == [0, 1, 2]  # independent samples
    read = hiflow("evaluate run --data x.extxyz")
    assert read.exit_code == 0, read.output
    assert "inf" not in read.output
    scored = hiflow("evaluate run --data b.extxyz")
    assert scored.exit_code == 0, scored.output
    assert "at 300 K" in scored.output


def test_weighted_samples_are_frames(here):
    energy, x = AseEnergy("H2O"), jnp.asarray(positions(frames(5)), jnp.float32)
    weighted = hf.metrics.weigh(x, jnp.arange(5.0), energy)
    made = weighted.to_atoms()
    np.testing.assert_allclose(positions(made), x, atol=1e-6)
    np.testing.assert_allclose([atoms.info["weight"] for atoms in made], weighted.weights)
    np.testing.assert_allclose(made[0].info["energy_kT"], energy(x[0]), rtol=1e-5)
    assert made[0].info["temperature_K"] == 300.0
    assert (made[0].numbers == [8, 1, 1]).all()
    hf.data.write_atoms("x.pdb", made)
    assert len(ase.io.read("x.pdb", index=":")) == 5
    plain = hf.metrics.Weighted(x, np.zeros(5), np.zeros(5))
    with pytest.raises(ValueError, match="which elements the atoms are"):
        plain.to_atoms()
    with pytest.raises(ValueError, match="2 atoms have positions"):
        plain.to_atoms(species=[1, 1])


def test_a_file_may_name_a_calculator_of_another_package_if_it_is_trusted(here):
    (here / "water.toml").write_text(
        CONFIG.replace('"H2O"', '"H2O"\ncalculator = "ase.calculators.emt:EMT"')
    )
    refused = hiflow("train water.toml --out run")
    assert refused.exit_code == 2
    assert "by --trust ase;" in " ".join(refused.output.split())
    assert not (here / "run").exists()
    read = hf.experiments.read("water.toml")
    assert isinstance(hf.experiments.make_energy(read), AseEnergy)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"order": (1, 0, 2)}, r"in another order: it has H O H, and the energy wants O H2"),
        ({"order": (0, 1)}, r"other ones: it has O H, and the energy wants O H2"),
        ({"scale": 0.1}, r"factor of 10, nm for Å. Multiply the positions by 10"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_before_anything_is_written(here, change, told):
    ase.io.write("b.extxyz", frames(10, **change))
    refused = hiflow("train water.toml --out run")
    assert refused.exit_code == 2
    assert np.char.find(" ".join(refused.output.split()), "b.extxyz") > 0
    with pytest.raises(ValueError, match=told):
        hf.data.load("b.extxyz", energy=AseEnergy("H2O"))
    assert not (here / "run").exists()


def test_periodic_cells_are_unwrapped_or_refused(here):
    made = frames(4)
    for atoms in made:
        atoms.set_cell(4 * np.eye(3))
        atoms.pbc = True
        atoms.wrap()
    ase.io.write("cell.extxyz", made)
    found = hf.data.load("cell.extxyz", energy=AseEnergy("H2O"))
    np.testing.assert_allclose(found.points, positions(frames(4)), atol=1e-6)
    assert "made whole" in str(found.origin)
    for atoms in made:
        atoms.pbc = [True, True, False]
    ase.io.write("slab.extxyz", made)
    with pytest.raises(ValueError, match="periodic along some axes"):
        hf.data.load("slab.extxyz")
    ase.io.write("mixed.extxyz", [*frames(2), *frames(1, order=(1, 0, 2))])
    with pytest.raises(ValueError, match="frame 2 has the atoms H O H, and frame 0 O H2"):
        hf.data.load("mixed.extxyz")


def test_chains_of_frames_are_read(here):
    made = frames(6)
    for k, atoms in enumerate(made):
        atoms.info["chain"] = k // 3
    ase.io.write("chains.extxyz", made)
    np.testing.assert_array_equal(hf.data.load("chains.extxyz").chains, [0, 0, 0, 1, 1, 1])


class FailsAtOne(EMT):
    """Doesn't converge for one geometry."""

    bad: Any = None

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        atoms: Any = self.atoms
        if self.bad is not None and np.allclose(atoms.positions, self.bad, atol=1e-4):
            raise ArithmeticError("no convergence in 100 cycles")


@pytest.mark.parametrize("hessian", ["analytic", "dense"])
def test_the_frame_that_a_calculator_fails_for_is_named(here, hessian):
    calculator = FailsAtOne()
    energy = AseEnergy("H2O", calculator)
    data = hf.data.load(["a.extxyz", "b.extxyz"], energy=energy)
    calculator.bad = np.asarray(data.points[7])
    path = hf.paths.Linearised(energy, hessian=hessian)
    network = hf.networks.EGNN(
        particles=3, dim=3, width=4, depth=1, species=energy.species, key=jax.random.key(0)
    )
    with pytest.raises(
        RuntimeError, match=r"no convergence in 100 cycles.*\n*.*point 7 of the data"
    ):
        hf.fit(
            network, path, data, prior=hf.priors.CentredNormal(3, 3), steps=2, batch_size=4,
            key=jax.random.key(1), checkpoint_dir=here / "state",
        )  # fmt: skip
    assert not list(here.glob("state/*"))
