"""The generated pages hold every component and law, and every law is shown to be breakable."""

import importlib.util
import re
from pathlib import Path

import pytest

from built_in import own
from hiflow.registry import families

ROOT = Path(__file__).parents[2]
CHECKS = {
    "couplings": "check_coupling",
    "divergences": "check_divergence",
    "end_laws": "check_path",
    "energies": "check_energy",
    "groups": "check_group",
    "hessians": "check_hessian",
    "networks": "check_velocity_field",
    "paths": "check_path",
    "priors": "check_prior",
    "spectral": "check_spectral_map",
    "targets": "check_target",
    "time_samplers": "check_time_sampler",
    "times": "check_time_transform",
}


def sections() -> dict[str, str]:
    text = (ROOT / "docs" / "laws.md").read_text()
    parts = re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def generate():
    """The script that writes the pages, as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_function_of_the_kit_has_a_section():
    assert set(CHECKS) == set(families())
    assert set(sections()) == set(CHECKS.values())


@pytest.mark.parametrize("family", CHECKS)
def test_every_built_in_is_on_the_page(family):
    registry = families()[family]
    classes = {registry.get(name).__name__ for name in own(registry)}
    listed = re.search(r"^Components.*$", sections()[CHECKS[family]], flags=re.MULTILINE)
    assert listed
    missing = classes - set(re.findall(r"`(\w+)` [1-9]", listed[0]))
    assert not missing, "run python docs/generate.py"


@pytest.mark.parametrize("family", families())
def test_every_built_in_is_in_the_reference(family):
    page = generate().file_of(families()[family]).read_text()
    assert generate().reference(page, families()[family]) == page, "run python docs/generate.py"


def test_a_new_component_gets_its_line_and_its_name_in_the_reference():
    registry = families()["end_laws"]
    page = generate().file_of(registry).read_text()
    assert page.count("::: hiflow.paths.Laplace\n") == 1
    assert page.count("`laplace`") == 1
    without = page.replace("::: hiflow.paths.Laplace\n\n", "").replace("`laplace`, ", "")
    again = generate().reference(without, registry)
    assert sorted(again.split()) == sorted(page.split())
    assert generate().reference(again, registry) == again


@pytest.mark.parametrize("check", sorted(set(CHECKS.values())))
def test_every_law_refuses_a_broken_component(check):
    refusals = "".join(
        file.read_text() for file in (ROOT / "tests" / "testing").glob("test_broken_*.py")
    )
    laws = re.findall(r"^\| ([^|]+) \| ", sections()[check], flags=re.MULTILINE)
    assert laws[0] == "law"
    assert len(laws) > 1
    for law in laws[1:]:
        assert f'"{law}"' in refusals or f"{law}: " in refusals, law
