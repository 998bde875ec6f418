"""The deliberate faults stay in step with the source and the tests, and leave no module out."""

import re

import pytest

from faults import MUTATIONS
from mutations import ROOT, apply

# Abstract classes, protocols, what only looks something up or decorates: nothing that a formula could be
# wrong in.
WITHOUT_LOGIC = {
    "_version.py",
    "divergences/_base.py",
    "energies/_base.py",
    "networks/_base.py",
    "paths/_noise_level.py",
    "priors/_base.py",
    "spectral/_base.py",
    "testing/_compiled.py",
    "targets/_base.py",
    "time_samplers/_base.py",
    "training/_progress.py",
}


def test_there_are_at_least_a_hundred_faults_of_different_names():
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 100


def test_every_module_with_logic_has_a_fault():
    core = ROOT / "src" / "hiflow"
    modules = {
        file.relative_to(core).as_posix()
        for file in core.rglob("*.py")
        if file.name != "__init__.py"
    }
    tried = {mutation.file for mutation in MUTATIONS}
    assert modules - tried == WITHOUT_LOGIC


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_fault_can_be_made_and_its_test_exists(mutation, tmp_path):
    original = ROOT / "src" / "hiflow" / mutation.file
    copy = tmp_path / "hiflow" / mutation.file
    copy.parent.mkdir(parents=True)
    copy.write_text(original.read_text())
    apply(mutation, tmp_path)
    compile(copy.read_text(), str(copy), "exec")
    file, _, name = mutation.test.partition("::")
    name, _, case = name.partition("[")
    assert case.isascii(), "pytest writes other letters as escapes"
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
