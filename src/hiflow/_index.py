"""The names of all components, got without importing any: built-ins from hiflow's source, plug-ins from
what installed packages advertise."""

import functools
import re
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path

_DISTRIBUTION = "hiflow-jax"
_FAMILY = r'(?m)^(\w+) = Registry\(\s*"(\w+)"'
_MEMBER = r'(?m)^@(\w+)\.register\(\s*"([^"]+)"'


def origins() -> dict[str, dict[str, str]]:
    """Every family's names, each with where it comes from, `"hiflow"` or the plug-in's distribution (all
    of them if several claim it); both sorted."""
    found, advertised = {}, entry_points()
    for family, (_, names) in _built_in().items():
        entries = _by_name(list(advertised.select(group=f"hiflow.{family}")))
        claims = {name: packages(claimed) for name, claimed in entries.items()}
        found[family] = dict(sorted((claims | dict.fromkeys(names, "hiflow")).items()))
    return dict(sorted(found.items()))


def rooms() -> set[str]:
    """The packages that hold hiflow's own families, `hiflow.paths` that of end laws too."""
    return {f"hiflow.{room}" for room, _ in _built_in().values()}


def plugins(family: str) -> dict[str, list[EntryPoint]]:
    """The entry points of a family by name: several packages may claim one."""
    return _by_name(list(entry_points(group=f"hiflow.{family}")))


def outgrown(entry: EntryPoint) -> str | None:
    """What to say of a plug-in whose own requirement doesn't admit this hiflow. Installers check it too,
    but hiflow may be upgraded later, or the plug-in installed without its dependencies."""
    from packaging.requirements import Requirement

    requirements = [] if entry.dist is None else entry.dist.requires or []
    here = version(_DISTRIBUTION)
    for requirement in map(Requirement, requirements):
        ours = requirement.name == _DISTRIBUTION and requirement.marker is None
        if ours and not requirement.specifier.contains(here, prereleases=True):
            return (
                f"{packages([entry])}, which was made for {requirement}, and this is {here}. Upgrade or "
                "uninstall it; the rest of hiflow works."
            )
    return None


def packages(claims: list[EntryPoint]) -> str:
    """The distributions that entry points are from."""
    return " and ".join(sorted({e.dist.name if e.dist else e.value for e in claims}))


def _by_name(entries: list[EntryPoint]) -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in entries:
        found.setdefault(entry.name, []).append(entry)
    return found


@functools.cache
def _built_in() -> dict[str, tuple[str, list[str]]]:
    """Family to its package and names, as the source declares them: a variable holds the family's
    registry, and `@variable.register("name")` stands above every member."""
    found: dict[str, tuple[str, list[str]]] = {}
    for room in Path(__file__).parent.iterdir():
        texts = [file.read_text(encoding="utf-8") for file in sorted(room.glob("*.py"))]
        variables = {
            variable: name for text in texts for variable, name in re.findall(_FAMILY, text)
        }
        members = [pair for text in texts for pair in re.findall(_MEMBER, text)]
        for variable, family in variables.items():
            found[family] = (room.name, [name for owner, name in members if owner == variable])
    return found
