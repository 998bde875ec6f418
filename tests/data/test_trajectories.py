"""Trajectories of atoms: the positions that were written, in the energy's unit, order and place."""

import importlib.util
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import hiflow as hf
from hiflow import data
from hiflow.data import _trajectory
from hiflow.data._lengths import wrong_lengths
from hiflow.data._trajectory import Trajectory
from hiflow.data._whole import made_whole
from hiflow.energies import Units


class Water(hf.energies.AbstractEnergy):
    """Springs from atom to atom, in a unit of length."""

    units: Units = eqx.field(static=True, default=Units(300.0, "Å"))
    event_shape = (3, 3)
    species = (8, 1, 1)
    group = hf.groups.Translation()

    def __call__(self, x):
        return jnp.sum((x - x.mean(0)) ** 2)


BENT = np.array([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])


def frames(n, seed=0):
    return BENT + 0.05 * np.random.default_rng(seed).normal(size=(n, 3, 3)) + 7


def centred(x):
    return x - x.mean(axis=1, keepdims=True)


@pytest.fixture
def reader(monkeypatch, tmp_path):
    """A suffix whose files hold nothing: what is read is what was registered under the file's name."""
    held: dict[str, Any] = {}

    def write(name, positions, **facts):
        held[name] = Trajectory(positions, **facts)
        (tmp_path / name).touch()
        return tmp_path / name

    def read(path, topology):
        return held[path.name]

    monkeypatch.setitem(_trajectory._READERS, ".atoms", read)
    return write


@pytest.mark.parametrize(("unit", "factor"), [("Å", 1.0), ("nm", 10.0)])
def test_lengths_come_in_the_energys_unit(reader, unit, factor):
    x = frames(20)
    file = reader("a.atoms", x / factor, length=unit, species=(8, 1, 1))
    found = data.load(file, energy=Water())
    np.testing.assert_allclose(found.points, centred(x), atol=1e-6)
    assert str(found.origin).startswith("a.atoms: 20 frames of O H2, lengths in Å; centred")
    assert ("nm to Å" in str(found.origin)) == (unit == "nm")
    as_nm = data.load(file, energy=Water(Units(300.0, "nm")))
    np.testing.assert_allclose(as_nm.points, centred(x) / 10, atol=1e-7)
    alone = data.load(file)
    np.testing.assert_allclose(alone.points, centred(x) / factor, atol=1e-6)
    assert f"lengths in {unit}" in str(alone.origin)


def test_every_file_is_a_chain(reader):
    files = [reader(f"{k}.atoms", frames(4 + k, k), length="Å") for k in range(3)]
    found = data.load(files)
    np.testing.assert_array_equal(found.chains, [0] * 4 + [1] * 5 + [2] * 6)
    np.testing.assert_allclose(found.points[4:9], centred(frames(5, 1)), atol=1e-6)
    told = reader("told.atoms", frames(4), length="Å", chains=np.array(["b", "a", "b", "a"]))
    np.testing.assert_array_equal(data.load([files[0], told]).chains, [0, 0, 0, 0, 2, 1, 2, 1])
    assert data.load(files, independent=True).chains is None
    np.testing.assert_array_equal(data.load(files[0]).chains, [0] * 4)


def test_frames_are_chosen_from_every_file(reader):
    x = frames(10)
    files = [reader(f"{k}.atoms", x, length="Å") for k in range(2)]
    found = data.load(files, frames=[2, 9, 3])
    np.testing.assert_allclose(found.points[:3], centred(x)[2:9:3], atol=1e-6)
    assert len(found) == 6
    np.save(files[0].parent / "x.npy", x)
    assert data.load(files[0].parent / "x.npy", frames=[0, 4]).shape == (4, 3, 3)
    for wrong in ([0, 11], [3, 3], [-1, 4], [0, 4, 0], [4], [0, True]):
        with pytest.raises(ValueError, match=r"`frames` must be \[start, stop\].*stop ≤ 10"):
            data.load(files, frames=wrong)


@pytest.mark.parametrize(
    ("species", "told"),
    [
        ((1, 8, 1), r"in another order: it has H O H, and the energy wants O H2"),
        ((8, 1, 6), r"are other ones: it has O H C, and the energy wants O H2"),
        ((8, 1, 1, 8, 1, 1), r"are other ones: it has O H2 O H2, and the energy wants O H2"),
    ],
)
def test_other_atoms_are_refused_with_both_lists(reader, species, told):
    x = np.random.default_rng(0).normal(size=(5, len(species), 3))
    with pytest.raises(ValueError, match=told):
        data.load(reader("a.atoms", x, length="Å", species=species), energy=Water())


def test_files_of_other_atoms_or_lengths_are_not_taken_together(reader):
    """Frames of two molecules, or nanometres among ångströms, would be one set without a sound."""
    water = reader("water.atoms", frames(4), length="Å", species=(8, 1, 1))
    swapped = reader("swapped.atoms", frames(4), length="Å", species=(1, 8, 1))
    small = reader("small.atoms", frames(4) / 10, length="nm", species=(8, 1, 1))
    untold = reader("untold.atoms", frames(4), length="Å")
    with pytest.raises(ValueError, match=r"another order: it has H O H, and '.*water.atoms' has O"):
        data.load([untold, water, swapped])
    with pytest.raises(ValueError, match=r"lengths are in nm in '.*small.atoms', and in Å in"):
        data.load([water, small])
    together = data.load([water, small], energy=Water())
    np.testing.assert_allclose(together.points[:4], together.points[4:], atol=1e-6)


def test_a_factor_of_ten_is_named(tmp_path):
    np.save(tmp_path / "x.npy", frames(5) / 10)
    with pytest.raises(ValueError, match=r"factor of 10, nm for Å. Multiply the positions by 10\."):
        data.load(tmp_path / "x.npy", energy=Water())
    np.save(tmp_path / "x.npy", frames(5))
    with pytest.raises(
        ValueError, match=r"factor of 10, Å for nm. Multiply the positions by 0\.1\."
    ):
        data.load(tmp_path / "x.npy", energy=Water(Units(300.0, "nm")))
    assert wrong_lengths(Water(), 1e3 * BENT[None]) is not None
    assert wrong_lengths(Water(), BENT[None]) is None
    assert wrong_lengths(hf.energies.LennardJones.preset("lj13"), np.zeros((2, 13, 3))) is None


def test_data_of_another_unit_are_warned_of_by_the_virial():
    with pytest.warns(UserWarning, match="nm for Å"):
        data.warn_if_inconsistent(Water(), jnp.asarray(centred(frames(50)) / 10))


CELLS = {
    "cubic": 4.0 * np.eye(3),
    "skew": np.array([[4.0, 0.0, 0.0], [1.5, 4.0, 0.0], [-1.0, 1.5, 4.5]]),
}


@pytest.mark.parametrize("cell", CELLS)
def test_molecules_are_made_whole(cell):
    x, cells = frames(30), np.broadcast_to(CELLS[cell], (30, 3, 3))
    rng = np.random.default_rng(1)
    moved = x + rng.uniform(0, 9, size=(30, 1, 3))
    shares = moved @ np.linalg.inv(CELLS[cell])
    wrapped = (shares - np.floor(shares)) @ CELLS[cell]
    assert np.abs(centred(wrapped) - centred(x)).max() > 1
    whole = made_whole(wrapped, cells, "x")
    np.testing.assert_allclose(centred(whole), centred(x), atol=1e-12)


def test_what_is_no_molecule_in_a_cell_is_refused():
    grid = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(3)], float)
    crystal, cells = np.stack([grid] * 2), np.stack([3.0 * np.eye(3)] * 2)
    with pytest.raises(ValueError, match="a crystal or a liquid"):
        made_whole(crystal, cells, "x")
    apart = np.stack([BENT, BENT + np.array([[0], [0], [1]]) * np.array([[4.5, 0, 0]])])
    with pytest.raises(ValueError, match="frame 1 don't hang together within half"):
        made_whole(apart, np.stack([9.0 * np.eye(3)] * 2), "x")
    with pytest.raises(ValueError, match="cell without volume"):
        made_whole(apart, np.zeros((2, 3, 3)), "x")


@pytest.mark.parametrize(("name", "cure"), [("a.extxyz", "hiflow-ase"), ("a.dcd", "trajectories")])
def test_a_reader_that_is_missing_is_named(tmp_path, monkeypatch, name, cure):
    def missing(module):
        raise ImportError(f"No module named {module!r}")

    monkeypatch.setattr(_trajectory.importlib, "import_module", missing)
    for file in (name, "top.pdb"):
        (tmp_path / file).touch()
    given = {"topology": tmp_path / "top.pdb"} if name.endswith("dcd") else {}
    with pytest.raises(ImportError, match=rf"pip install .*{cure}"):
        data.load(tmp_path / name, **given)


def test_a_plug_in_brings_a_suffix(tmp_path, monkeypatch):
    class Entry:
        def load(self):
            return lambda path, topology: Trajectory(frames(4), "Å", (8, 1, 1))

    monkeypatch.setattr(_trajectory, "plugins", lambda group: {"mine": [Entry()]})
    (tmp_path / "a.mine").touch()
    found = data.load(tmp_path / "a.mine", energy=Water())
    np.testing.assert_allclose(found.points, centred(frames(4)), atol=1e-6)
    (tmp_path / "a.other").touch()
    with pytest.raises(ValueError, match=r"must end in one of .*\.mine; got"):
        data.load(tmp_path / "a.other")


needs_mdtraj = pytest.mark.skipif(
    importlib.util.find_spec("mdtraj") is None, reason="needs the extra `trajectories`"
)


@needs_mdtraj
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["pdb", "dcd", "xtc", "trr", "nc", "h5"])
def test_files_of_mdtraj_come_back(tmp_path, suffix):
    import mdtraj

    if suffix == "h5":
        pytest.importorskip("tables")
    topology = mdtraj.Topology()
    residue = topology.add_residue("HOH", topology.add_chain())
    for name, symbol in (("O", "O"), ("H1", "H"), ("H2", "H")):
        topology.add_atom(name, mdtraj.element.get_by_symbol(symbol), residue)
    x = frames(6)
    written = mdtraj.Trajectory(x / 10, topology)
    written[0].save(str(tmp_path / "top.pdb"))
    written.save(str(tmp_path / f"x.{suffix}"))
    alone = suffix in ("pdb", "h5")
    given = {} if alone else {"topology": tmp_path / "top.pdb"}
    found = data.load(tmp_path / f"x.{suffix}", energy=Water(), **given)
    np.testing.assert_allclose(found.points, centred(x), atol=0.02 if suffix == "xtc" else 2e-3)
    assert "6 frames of O H2" in str(found.origin)
    if not alone:
        with pytest.raises(ValueError, match="Give `topology`"):
            data.load(tmp_path / f"x.{suffix}")
    else:
        with pytest.raises(ValueError, match="Leave out `topology`"):
            data.load(tmp_path / f"x.{suffix}", topology=tmp_path / "top.pdb")


@needs_mdtraj
@pytest.mark.filterwarnings("ignore")
def test_a_file_of_another_format_is_named(tmp_path):
    (tmp_path / "x.h5").write_text("nothing")
    with pytest.raises(ValueError, match=r"can't be read as \.h5"):
        data.load(tmp_path / "x.h5")
