"""Experiments by name: hiflow's own, and those that plug-ins ship.

A plug-in advertises them in the entry-point group `hiflow.experiments`: an entry's name is the
experiment's, its value the package, or a folder inside it, that holds `NAME.toml`. Nothing of a plug-in
is imported to find it.
"""

from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

from hiflow import _index
from hiflow._disk import DamagedFile, read_text
from hiflow._index import packages
from hiflow.experiments._problems import ConfigError

_FAMILY = "experiments"


def packaged_experiments() -> dict[str, str]:
    """The experiments that have a name, each with where it comes from: `"hiflow"`, or the distribution
    of the plug-in that ships it (all of them, if several claim the name); sorted. Reads none.

    [`read`][hiflow.experiments.read] takes these names as well as files:

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> experiments.packaged_experiments()["ring-quick"]  # who ships it
    'hiflow'
    ```
    """
    claims = {name: packages(claimed) for name, claimed in _index.plugins(_FAMILY).items()}
    return dict(sorted((claims | dict.fromkeys(_built_in(), "hiflow")).items()))


def packaged_text(name: str) -> str:
    """A packaged experiment's TOML. A built-in's name always means the built-in.

    **Raises:** `ConfigError` if two plug-ins claim the name, or if the one that does is made for another
    version or has no such file.
    """
    built_in = _built_in()
    file = built_in[name] if name in built_in else _file_of(name, _index.plugins(_FAMILY)[name])
    try:
        return read_text(file, "Install the package anew that it comes from.")
    except DamagedFile as error:
        raise ConfigError(str(error)) from error


def _built_in() -> dict[str, Path]:
    return {file.stem: file for file in Path(__file__).parent.glob("*.toml")}


def _file_of(name: str, claims: list[EntryPoint]) -> Path:
    if len({entry.value for entry in claims}) > 1:
        raise ConfigError(
            f"{name}: this packaged experiment is claimed by {packages(claims)}. Uninstall one of them, "
            "or give the path of a TOML file."
        )
    entry = claims[0]
    if (wrong := _index.outgrown(entry)) is not None:
        raise ConfigError(f"{name}: this packaged experiment is provided by {wrong}")
    for folder in _folders(entry):
        if (file := folder / f"{name}.toml").is_file():
            return file
    raise ConfigError(
        f"{name}: this packaged experiment is provided by {packages(claims)}, which has no file "
        f"{name}.toml in {entry.value!r}. Repair or uninstall it; the rest of hiflow works."
    )


def _folders(entry: EntryPoint) -> list[Path]:
    """Where the package is that an entry point names, and inside it the folder; found without importing
    either."""
    top, *inner = entry.value.strip().split(".")
    try:
        found = find_spec(top)
    except (ImportError, ValueError):
        return []
    places = [] if found is None else found.submodule_search_locations or []
    return [Path(place, *inner) for place in places]
