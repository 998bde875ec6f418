"""The page of laws is about all components and all laws, and every law is shown to be breakable."""

import re
from pathlib import Path

import pytest

from built_in import own
from hiflow.registry import families

ROOT = Path(__file__).parents[2]
SECTIONS = {
    "check_energy": "energies",
    "check_group": "groups",
    "check_hessian": "hessians",
    "check_path": "paths",
    "check_prior": "priors",
    "check_coupling": "couplings",
    "check_divergence": "divergences",
    "check_spectral_map": "spectral",
    "check_time_sampler": "time_samplers",
    "check_time_transform": "times",
    "check_velocity_field": "networks",
}


def sections() -> dict[str, str]:
    text = (ROOT / "docs" / "laws.md").read_text()
    parts = re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_function_of_the_kit_has_a_section():
    assert set(sections()) == set(SECTIONS)
    # End laws are checked as parts of paths.
    assert set(SECTIONS.values()) == set(families()) - {"end_laws"}


@pytest.mark.parametrize("check", SECTIONS)
def test_every_built_in_is_on_the_page(check):
    registry = families()[SECTIONS[check]]
    classes = {registry.get(name).__name__ for name in own(registry)}
    head = sections()[check].strip().splitlines()[0]
    missing = classes - {cell.split("<br>")[0].strip() for cell in head.split("|")}
    assert not missing, "run python docs/generate.py"


@pytest.mark.parametrize("family", families())
def test_every_built_in_is_in_the_reference(family):
    registry = families()[family]
    page = (ROOT / "docs" / "reference" / f"{family.replace('_', '-')}.md").read_text()
    members = {f"::: hiflow.{family}.{registry.get(name).__name__}" for name in own(registry)}
    names = {f"`{name}`" for name in own(registry)}
    missing = [
        item for item in names | members if item not in page.splitlines() and item not in page
    ]
    assert not missing, "run python docs/generate.py"


@pytest.mark.parametrize("check", SECTIONS)
def test_every_law_refuses_a_broken_component(check):
    refusals = "".join(
        file.read_text() for file in (ROOT / "tests" / "testing").glob("test_broken_*.py")
    )
    laws = re.findall(r"^\| ([^|<]+)<br>≤", sections()[check], flags=re.MULTILINE)
    assert laws
    for law in laws:
        assert f'"{law}"' in refusals or f"{law}: " in refusals, law
