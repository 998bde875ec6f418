"""Frames of atoms: positions in Å, and what is told of each."""

import sys
import types

import numpy as np
import pytest

from hiflow import data
from hiflow.energies import Units


class Atoms:
    """As far as frames need ASE's."""

    def __init__(self, numbers, positions, info):
        self.numbers, self.positions, self.info = numbers, positions, info


@pytest.fixture
def ase(monkeypatch):
    module = types.ModuleType("ase")
    module.__dict__["Atoms"] = Atoms
    monkeypatch.setitem(sys.modules, "ase", module)


def test_positions_are_in_angstrom_and_weights_in_info(ase):
    x = np.arange(12.0).reshape(2, 2, 3)
    found = data.to_atoms(x, (1, 1), Units(250.0, "nm"), {"weight": np.array([0.2, 0.8])}, "x")
    np.testing.assert_allclose(found[1].positions, 10 * x[1])
    assert found[1].info["weight"] == 0.8
    assert found[1].info["temperature_K"] == 250.0
    np.testing.assert_allclose(found[0].info["kT_eV"], 8.617333e-5 * 250, rtol=1e-6)


def test_points_that_are_no_atoms_are_refused(ase, monkeypatch):
    with pytest.raises(ValueError, match="which elements the atoms are"):
        data.to_atoms(np.zeros((2, 2, 3)), None, None, {}, "x")
    with pytest.raises(
        ValueError, match=r"of shape \(2, 3\), and the points are of shape \(4, 3\)"
    ):
        data.to_atoms(np.zeros((2, 4, 3)), (1, 1), None, {}, "x")
    monkeypatch.setitem(sys.modules, "ase", None)
    with pytest.raises(ImportError, match="pip install hiflow-ase"):
        data.to_atoms(np.zeros((2, 2, 3)), (1, 1), None, {}, "x")


def test_frames_are_written_to_the_files_that_the_command_takes():
    from hiflow.experiments._run_folder import DRAWN

    assert [ending for ending in DRAWN if data.are_atoms(f"samples{ending}")] == list(DRAWN[1:])
    assert not data.are_atoms("samples.xtc")
