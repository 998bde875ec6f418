"""The list of deliberate faults stays in step with the source and the tests."""

import re

import pytest

from mutations import MUTATIONS, ROOT, apply


def test_there_are_at_least_thirty_faults_of_different_names():
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 30


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_fault_can_be_made_and_its_test_exists(mutation, tmp_path):
    original = ROOT / "src" / "hiflow" / mutation.file
    copy = tmp_path / "hiflow" / mutation.file
    copy.parent.mkdir(parents=True)
    copy.write_text(original.read_text())
    apply(mutation, tmp_path)
    compile(copy.read_text(), str(copy), "exec")
    file, _, name = mutation.test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
