"""One arm of an experiment: its tables made into the objects that `fit` takes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxtyping import PRNGKeyArray

from hiflow import energies, networks, paths, priors
from hiflow.experiments._fitted import FittedEnergies
from hiflow.experiments._toml import ConfigError, Experiment
from hiflow.solver import Solver
from hiflow.training import Training
from hiflow.training._preflight import make_components, make_ready


@dataclasses.dataclass(frozen=True)
class Arm:
    """All that `fit` takes for one arm and seed."""

    label: str
    network: networks.AbstractVelocityField
    path: paths.AbstractPath
    prior: priors.AbstractPrior
    training: Training
    solver: Solver
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

    **Raises:** `ConfigError` for a wrong setting, and what the components raise.
    """
    if "path" not in arm:
        raise ConfigError(f"arm {arm['label']!r}: needs a `path`.")
    fitted = FittedEnergies(event_shape) if fitted is None else fitted
    size, shared = arm.get("size"), experiment.tables
    default = shared.get("energy") if energy is None else None
    network, path, prior, _ = make_components(
        arm.get("network", shared.get("network", "mlp")),
        fitted.inside(arm["path"], size),
        arm.get("prior", shared.get("prior", "normal")),
        energy if default is None else fitted.make(default, size),
        event_shape,
        key,
    )
    table = {**shared.get("training", {}), **arm.get("training", {})}
    training = _settings(Training(), table, "[training]")
    solver = _settings(Solver(), shared.get("evaluation", {}), "[evaluation]")
    make_ready(network, path, prior, energy, training)
    return Arm(arm["label"], network, path, prior, training, solver, size)


def _settings(defaults: Any, table: Mapping[str, Any], where: str) -> Any:
    try:
        return defaults.changed(**table)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error
