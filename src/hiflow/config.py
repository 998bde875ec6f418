"""Experiments as TOML: tables that name components, read into the objects that `fit` takes."""

import dataclasses
import difflib
import inspect
import os
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

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
from hiflow import data as hf_data
from hiflow._preflight import check_components
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


class ConfigError(ValueError):
    """A TOML file that can't be read as an experiment; the message names the place and the cure."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One TOML file: what the arms share, and the arms."""

    name: str
    text: str
    tables: Mapping[str, Any]

    @property
    def seeds(self) -> list[int]:
        """The seeds that the file asks for."""
        return list(self.tables.get("seeds", [0]))

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The arms' tables in order, in every variant: `arm` and `variant` are the parts of `label`.

        A variant's `training` is added to that of the arm, its `prior` and `network` replace the arm's.
        """
        arms = [{"arm": arm["label"], "variant": "", **arm} for arm in self.tables["arm"]]
        variants = self.tables.get("variant")
        return [_varied(a, v) for v in variants for a in arms] if variants else arms


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
            f"{_nearest(str(source), packaged)} Packaged: {', '.join(sorted(packaged))}."
        )
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}.") from error
    _check_names(tables, _TOP, f"{source}")
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
            _check_names(table, known, f"{source}: {kind} {table.get('label')!r}")
    return Experiment(name, text, tables)


def make_energy(experiment: Experiment) -> energies.AbstractEnergy | None:
    """The experiment's energy, if it has one."""
    table = experiment.tables.get("energy")
    return None if table is None else energies.registry.make(table)


def event_shape(experiment: Experiment, energy: energies.AbstractEnergy | None) -> tuple[int, ...]:
    """The shape of one event: the energy's, or that of the points in the data file. Checks `[data]`.

    **Raises:** `ConfigError` for an unknown keyword or missing data; what
    [`hiflow.data.load`][hiflow.data.load] raises for a file that can't be read.
    """
    table = experiment.tables.get("data", {})
    from_file = "file" in table or "test_file" in table
    known = ["file", "test_file"] if from_file else _parameters(hf_data.sample)
    hidden = ("energy", "key", "size", "progress")
    own = ["size", "test", "validation", "seed"]
    _check_names(table, [*own, *(k for k in known if k not in hidden)], "[data]")
    if from_file and "validation" in table:
        raise ConfigError(
            "[data]: `validation` points are drawn from the energy; leave out `file`."
        )
    if energy is None and "file" not in table:
        raise ConfigError("[data] needs a `file`, or the experiment an [energy] to draw from.")
    shape = None if energy is None else energy.event_shape
    for name in ("file", "test_file"):
        if name in table:
            shape = tuple(jnp.shape(hf_data.load(table[name], event_shape=shape))[1:])
    assert shape is not None
    return shape


def make_data(
    experiment: Experiment, energy: energies.AbstractEnergy | None, seed: int, *, progress: bool
) -> tuple[Float[Array, "n *event"], Float[Array, "m *event"]]:
    """Training and test points: from files, or drawn from the energy.

    `[data]` takes `size` and `test` (how many of each), `validation` (how many to choose settings by),
    `seed` (the run's by default), `file` and `test_file`, or the keywords of
    [`hiflow.data.sample`][hiflow.data.sample].
    """
    table = dict(experiment.tables.get("data", {}))
    size, test = table.pop("size", None), table.pop("test", 256)
    table.pop("validation", None)
    key_draw, key_split = jax.random.split(jax.random.key(table.pop("seed", seed)))
    shape = None if energy is None else energy.event_shape
    if "file" in table:
        points, held_out = _from_files(table, shape, size, test, key_split)
    else:
        assert energy is not None, "event_shape has refused an experiment without data"
        drawn = hf_data.sample(
            energy, key=key_draw, size=(size or 10_000) + test, progress=progress, **table
        )
        points, held_out = (part.points for part in drawn.split(test, key=key_split))
    if energy is not None:
        points, held_out = (jax.vmap(energy.group.project)(part) for part in (points, held_out))
    return points, held_out


def make_validation(
    experiment: Experiment, energy: energies.AbstractEnergy, seed: int, *, progress: bool
) -> Float[Array, "n *event"]:
    """The points to choose settings by, `validation` of them: a draw of its own, independent of the
    training and test points.

    **Raises:** `ConfigError` if `[data]` asks for none.
    """
    table = dict(experiment.tables.get("data", {}))
    size = table.pop("validation", 0)
    if size < 2:
        raise ConfigError(f"[data]: `validation` must be at least 2 to choose by, got {size}.")
    key = jax.random.fold_in(jax.random.key(table.pop("seed", seed)), 1)
    settings = {name: table[name] for name in table if name not in ("size", "test")}
    drawn = hf_data.sample(energy, key=key, size=size, progress=progress, **settings)
    return jax.vmap(energy.group.project)(drawn.points)


def make_arm(
    experiment: Experiment,
    arm: Mapping[str, Any],
    energy: energies.AbstractEnergy | None,
    event_shape: tuple[int, ...],
    key: PRNGKeyArray,
) -> Arm:
    """One arm's components. The network's initial weights depend on `key` alone, not on the arm."""
    known: dict[str, Any] = {"shape": event_shape}
    if len(event_shape) == 2:
        known |= {"particles": event_shape[0], "dim": event_shape[1]}
    prior = priors.registry.make(_table(experiment, arm, "prior", "normal"), **known)
    network = networks.registry.make(
        _table(experiment, arm, "network", "mlp"), **known, group=prior.group, key=key
    )
    context = {"group": prior.group, "prior_scale": getattr(prior, "scale", None), "energy": energy}
    context = {name: value for name, value in context.items() if value is not None}
    if "path" not in arm:
        raise ConfigError(f"arm {arm['label']!r}: needs a `path`.")
    settings = make_solver_settings(experiment.tables.get("evaluation", {}))
    Flow(prior, network, **settings)  # Its checks, before any training.
    path = paths.registry.make(arm["path"], **context)
    check_components(network, path, prior, energy)
    training = _training(experiment, arm)
    return Arm(arm["label"], network, path, prior, training, settings, arm.get("size"))


def make_solver_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    """`[evaluation]`: the settings of a flow, with `solver` by its diffrax name and `divergence` as
    `"exact"` or `{name = "hutchinson", probes = 4}`."""
    settings = dict(table)
    _check_names(
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
        _check_names({chosen.get("name", ""): 0}, known, "[evaluation] divergence")
        settings["divergence"] = known[chosen.pop("name")](**chosen)
    return settings


def families() -> dict[str, Registry]:
    """All registries, by the name of their family."""
    modules = (
        energies, hessians, spectral, times, groups, priors, couplings, paths, networks, time_sampling
    )  # fmt: skip
    return {module.registry.family: module.registry for module in modules}


def _varied(arm: dict[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    training = {**arm.get("training", {}), **variant.get("training", {})}
    label = f"{arm['label']}, {variant['label']}"
    return {**arm, **variant, "label": label, "variant": variant["label"], "training": training}


def slug(label: str) -> str:
    """A label as a folder's name."""
    return "".join(c if c.isalnum() else "-" for c in label.lower()).strip("-")


def _table(experiment: Experiment, arm: Mapping[str, Any], name: str, default: str) -> Any:
    return arm.get(name, experiment.tables.get(name, default))


def _training(experiment: Experiment, arm: Mapping[str, Any]) -> dict[str, Any]:
    training = {**experiment.tables.get("training", {}), **arm.get("training", {})}
    known = [name for name in _parameters(fit) if name not in _NOT_FROM_FILE]
    _check_names(training, known, "[training]")
    return training


def _from_files(
    table: dict[str, Any],
    shape: tuple[int, ...] | None,
    size: int | None,
    test: int,
    key: PRNGKeyArray,
) -> tuple[Array, Array]:
    points = jnp.asarray(hf_data.load(table["file"], event_shape=shape))
    if "test_file" in table:
        return points[:size], jnp.asarray(hf_data.load(table["test_file"], event_shape=shape))
    if points.shape[0] <= test:
        raise ConfigError(
            f"[data]: {table['file']} has {points.shape[0]} samples, not enough to hold out {test}. "
            "Lower `test`, or give a `test_file`."
        )
    shuffled = points[np.asarray(jax.random.permutation(key, points.shape[0]))]
    return shuffled[test:][:size], shuffled[:test]


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def _check_names(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    known = list(known)
    for name in table:
        if name not in known:
            raise ConfigError(
                f"{where}: unknown name {name!r}{_nearest(name, known)} Known: {', '.join(known)}."
            )


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else "."
