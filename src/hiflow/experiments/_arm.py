"""One arm of an experiment: its tables made into the objects that `fit` takes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import diffrax
from jaxtyping import PRNGKeyArray

from hiflow import energies, networks, paths, priors
from hiflow.divergences import Exact, Hutchinson
from hiflow.experiments._fitted import FittedEnergies
from hiflow.experiments._toml import (
    ConfigError,
    Experiment,
    check_names,
    defaults,
    keywords,
    parameters,
)
from hiflow.flow import Flow
from hiflow.training import fit
from hiflow.training._preflight import make_ready

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


def _table(experiment: Experiment, arm: Mapping[str, Any], name: str, default: str) -> Any:
    return arm.get(name, experiment.tables.get(name, default))


def _training(experiment: Experiment, arm: Mapping[str, Any]) -> dict[str, Any]:
    training = {**experiment.tables.get("training", {}), **arm.get("training", {})}
    known = [name for name in parameters(fit) if name not in _NOT_FROM_FILE]
    check_names(training, known, "[training]")
    return training
