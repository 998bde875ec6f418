"""Experiments as TOML: tables that name components, read into the objects that `fit` takes."""

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import diffrax
from jaxtyping import PRNGKeyArray

from hiflow import (
    couplings,
    energies,
    groups,
    hessians,
    networks,
    paths,
    priors,
    spectral,
    time_sampling,
    times,
)
from hiflow._data_table import event_shape as event_shape
from hiflow._data_table import make_data as make_data
from hiflow._data_table import make_validation as make_validation
from hiflow._data_table import pixel_transform as pixel_transform
from hiflow._fitted import FittedEnergies as FittedEnergies
from hiflow._fitted import is_fitted
from hiflow._preflight import make_ready
from hiflow._tables import ConfigError as ConfigError
from hiflow._tables import Experiment as Experiment
from hiflow._tables import check_names, defaults, keywords, nearest, parameters
from hiflow.divergence import Exact, Hutchinson
from hiflow.flow import Flow
from hiflow.registry import Registry
from hiflow.training import fit

_TOP = (
    *("seeds", "energy", "data", "prior", "network", "training", "evaluation"),
    *("arm", "variant"),
)
_ARM = ("label", "family", "path", "prior", "network", "training")
_VARIANT = ("label", "size", "prior", "network", "training")
_NOT_FROM_FILE = (
    *("network", "path", "data", "prior", "key", "energy", "validation", "callbacks"),
    *("checkpoint_dir", "resume", "progress", "solver_settings"),
)


@dataclasses.dataclass(frozen=True)
class Arm:
    """All that `fit` takes for one arm and seed."""

    label: str
    network: networks.AbstractVelocityField
    path: paths.AbstractPath
    prior: priors.AbstractPrior
    training: dict[str, Any]
    solver_settings: dict[str, Any]
    size: int | None
    """Of how many training points the arm sees the first; `None` for all."""


def packaged_experiments() -> dict[str, Any]:
    """The experiments that come with hiflow: name to resource."""
    folder = files("hiflow") / "experiments"
    return {item.name[:-5]: item for item in folder.iterdir() if item.name.endswith(".toml")}


def read(source: str | os.PathLike[str]) -> Experiment:
    """Read a TOML file, or a packaged experiment by its name, and check its tables' names.

    **Raises:** `ConfigError` for a missing file, broken TOML, an unknown table or keyword.
    """
    packaged = packaged_experiments()
    path = Path(source)
    if str(source) in packaged:
        name, text = str(source), packaged[str(source)].read_text()
    elif path.is_file():
        name, text = path.stem, path.read_text()
    else:
        raise ConfigError(
            f"{source}: no such file, and no packaged experiment of that name"
            f"{nearest(str(source), packaged)} Packaged: {', '.join(sorted(packaged))}."
        )
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}.") from error
    check_names(tables, _TOP, f"{source}")
    if not tables.get("arm"):
        raise ConfigError(f"{source}: has no [[arm]]; add one with a `label` and a `path`.")
    for kind in ("arm", "variant"):
        labels = [table.get("label") for table in tables.get(kind, [])]
        if None in labels or len({slug(str(label)) for label in labels}) < len(labels):
            raise ConfigError(
                f"{source}: every [[{kind}]] needs a `label` of its own, got {labels}."
            )
    for kind, known in (("arm", _ARM), ("variant", _VARIANT)):
        for table in tables.get(kind, []):
            check_names(table, known, f"{source}: {kind} {table.get('label')!r}")
    return Experiment(name, text, tables)


def make_energy(experiment: Experiment) -> energies.AbstractEnergy | None:
    """The energy that the experiment's data have, if it has one. One that is fitted to the data is none:
    [`make_arm`][hiflow.config.make_arm] gives it to the paths."""
    table = experiment.tables.get("energy")
    if table is None or is_fitted(table):
        return None
    return FittedEnergies(()).make(table)


def make_arm(
    experiment: Experiment,
    arm: Mapping[str, Any],
    energy: energies.AbstractEnergy | None,
    event_shape: tuple[int, ...],
    key: PRNGKeyArray,
    fitted: FittedEnergies | None = None,
) -> Arm:
    """One arm's components. The network's initial weights depend on `key` alone, not on the arm.

    **Arguments:**

    - `fitted`: fits energies to data where a table asks for it; by default they are blanks.
    """
    fitted = FittedEnergies(event_shape) if fitted is None else fitted
    known: dict[str, Any] = {"shape": event_shape}
    if len(event_shape) == 2:
        known |= {"particles": event_shape[0], "dim": event_shape[1]}
    prior = priors.registry.make(_table(experiment, arm, "prior", "normal"), **known)
    network = networks.registry.make(
        _table(experiment, arm, "network", "mlp"), **known, group=prior.group, key=key
    )
    default = experiment.tables.get("energy") if energy is None else None
    known_energy = energy if default is None else fitted.make(default, arm.get("size"))
    scale = getattr(prior, "scale", None)
    context = {"group": prior.group, "prior_scale": scale, "energy": known_energy}
    context = {name: value for name, value in context.items() if value is not None}
    if "path" not in arm:
        raise ConfigError(f"arm {arm['label']!r}: needs a `path`.")
    settings = make_solver_settings(experiment.tables.get("evaluation", {}))
    Flow(prior, network, **settings)  # Its checks, before any training.
    path = paths.registry.make(fitted.inside(arm["path"], arm.get("size")), **context)
    training = _training(experiment, arm)
    chosen = {**defaults(fit), **training}
    make_ready(network, path, prior, energy, **{k: chosen[k] for k in keywords(make_ready)})
    return Arm(arm["label"], network, path, prior, training, settings, arm.get("size"))


def make_solver_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    """`[evaluation]`: the settings of a flow, with `solver` by its diffrax name and `divergence` as
    `"exact"` or `{name = "hutchinson", probes = 4}`."""
    settings = dict(table)
    check_names(
        settings, ["solver", "rtol", "atol", "steps", "divergence", "chunk_size"], "[evaluation]"
    )
    if "solver" in settings:
        solver = getattr(diffrax, settings["solver"], None)
        if solver is None:
            raise ConfigError(f"[evaluation]: diffrax has no solver {settings['solver']!r}.")
        settings["solver"] = solver()
    if "divergence" in settings:
        chosen = settings["divergence"]
        chosen = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
        known = {"exact": Exact, "hutchinson": Hutchinson}
        check_names({chosen.get("name", ""): 0}, known, "[evaluation] divergence")
        settings["divergence"] = known[chosen.pop("name")](**chosen)
    return settings


def families() -> dict[str, Registry]:
    """All registries, by the name of their family."""
    modules = (
        energies, hessians, spectral, times, groups, priors, couplings, paths, networks, time_sampling
    )  # fmt: skip
    return {module.registry.family: module.registry for module in modules}


def slug(label: str) -> str:
    """A label as a folder's name."""
    return "".join(c if c.isalnum() else "-" for c in label.lower()).strip("-")


def _table(experiment: Experiment, arm: Mapping[str, Any], name: str, default: str) -> Any:
    return arm.get(name, experiment.tables.get(name, default))


def _training(experiment: Experiment, arm: Mapping[str, Any]) -> dict[str, Any]:
    training = {**experiment.tables.get("training", {}), **arm.get("training", {})}
    known = [name for name in parameters(fit) if name not in _NOT_FROM_FILE]
    check_names(training, known, "[training]")
    return training
