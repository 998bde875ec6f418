"""What an ASE energy is made from: objects, names, files and tables, and what it refuses."""

import ase.io
import hiflow as hf
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from hiflow_ase import AseEnergy, frequencies

TABLE = {"name": "ase", "atoms": "H2O", "calculator": "emt", "temperature": 300.0}


def test_made_from_a_table(tmp_path):
    energy = hf.energies.registry.make(TABLE)
    assert isinstance(energy, AseEnergy)
    assert energy.event_shape == (3, 3)
    file = tmp_path / "water.xyz"
    ase.io.write(file, molecule("H2O"))
    from_file = hf.energies.registry.make({**TABLE, "atoms": str(file)})
    x = jnp.asarray(1.1 * energy.atoms.positions)
    np.testing.assert_allclose(from_file(x), energy(x), rtol=1e-5)


def test_molecule_is_copied_and_kept():
    atoms = molecule("H2O")
    energy = AseEnergy(atoms)
    atoms.positions += 1
    energy.atoms.positions += 1
    energy(jnp.asarray(1.1 * energy.atoms.positions))
    np.testing.assert_array_equal(energy.atoms.positions, molecule("H2O").positions)
    assert energy.atoms.calc is None


def test_events_of_another_shape_are_refused():
    energy = AseEnergy("H2O")
    for function in (energy, energy.hessian, lambda x: frequencies(energy, x)):
        with pytest.raises(ValueError, match=r"shape \(3, 3\), got.*\(4, 3\)"):
            function(jnp.zeros((4, 3)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"temperature": 0.0}, "`temperature` must be a positive.* got 0.0. Give it in K"),
        ({"temperature": 0.0259}, r"in K, not eV, and must be at least 1, .*would be 300.6 K"),
        ({"temperature": "warm"}, "`temperature` must be a positive"),
        ({"displacement": -1e-3}, "`displacement` must be a positive"),
        ({"atoms": "H2OO"}, "neither a molecule .* nor a file; did you mean 'H2O"),
        ({"atoms": 7}, "`atoms` must be an ase.Atoms, a molecule's name or a file, got 7"),
        ({"atoms": 2 * [Atoms("H")]}, r"got 2 of them. Pass one, atoms=frames\[0\]"),
        ({"atoms": Atoms()}, "holds no atoms"),
        ({"atoms": Atoms("H2O", pbc=True, cell=[5, 5, 5])}, "periodic boundaries"),
        ({"atoms": Atoms("H", constraint=FixAtoms([0]))}, "constraints, got FixAtoms"),
        ({"atoms": "SiH4"}, "for H4Si failed: .*No EMT-potential for Si.*Choose a `calc"),
        ({"calculator": "emmt"}, "no `calculator` 'emmt'; did you mean 'emt'"),
        ({"calculator": EMT}, "must be an ASE calculator or its name"),
        ({"calculator": 3}, "must be an ASE calculator or its name, got 3"),
        ({"calculator_options": {"cutoff": 3}}, "'emt' takes no option 'cutoff'"),
        ({"calculator_options": 3}, "must be a table of keywords, got 3"),
        ({"calculator": EMT(), "calculator_options": {"a": 1}}, "given by name"),
        ({"calculator": "asap"}, "'asap' can't be imported"),
        ({"calculator": "no_such:Thing"}, "'no_such:Thing' can't be imported: No module"),
        ({"calculator": "ase.calculators.emt:EMMT"}, "'ase.calculators.emt:EMMT' can't be imported"),
        ({"calculator": "subprocess:Popen"}, "must be a class of ASE's interface"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(change, told):
    with pytest.raises(ValueError, match=told):
        AseEnergy(**({"atoms": "H2O"} | change))


def test_a_calculator_of_another_package_is_named_by_its_module():
    named = AseEnergy("H2O", "ase.calculators.emt:EMT")
    x = jnp.asarray(named.atoms.positions)
    np.testing.assert_array_equal(named(x), AseEnergy("H2O", EMT())(x))


def test_files_that_hold_no_molecule_are_refused(tmp_path):
    (tmp_path / "water.xyz").write_text("no molecule")
    with pytest.raises(ValueError, match="can't be read"):
        AseEnergy(str(tmp_path / "water.xyz"))
    ase.io.write(tmp_path / "two.xyz", [molecule("H2O")] * 2)
    with pytest.raises(ValueError, match="holds 2 frames"):
        AseEnergy(f"{tmp_path}/two.xyz@:")


def test_one_frame_of_a_file_is_chosen(tmp_path):
    first, second = molecule("H2O"), molecule("H2O")[[1, 0, 2]]
    ase.io.write(tmp_path / "two.xyz", [first, second])
    file = str(tmp_path / "two.xyz")
    with pytest.raises(ValueError, match=r"holds 2 frames.*in the same order.*from 0 to 1"):
        AseEnergy(file)
    with pytest.raises(ValueError, match=r"`frame` must be one of the 2 .*got 2"):
        AseEnergy(file, frame=2)
    assert AseEnergy(file, frame=0).species == (8, 1, 1)
    assert AseEnergy(file, frame=-1).species == AseEnergy(f"{file}@1").species == (1, 8, 1)
