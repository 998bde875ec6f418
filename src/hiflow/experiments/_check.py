"""Everything about an experiment that can be refused before data are drawn, said at once."""

import math
from collections.abc import Mapping
from typing import Any

import jax

from hiflow import data, energies, hessians
from hiflow._kinds import annotations, shown, wanted
from hiflow.experiments._arm import Arm, make_arm, settings_of
from hiflow.experiments._data import condition_of, event_shape
from hiflow.experiments._fitted import make_energy
from hiflow.experiments._problems import Problems
from hiflow.experiments._structure import heading
from hiflow.experiments._toml import Experiment

_OF_THE_TABLE = {
    "size": int,
    "test": int,
    "validation": int,
    "seed": int,
    "file": str | list[str],
    "test_file": str | list[str],
    "topology": str,
    "frames": list[int],
    "independent": bool,
    "condition": str | list[str],
    "condition_file": str | list[str],
    "test_condition_file": str | list[str],
    "images": str,
    "folder": str,
    "side": int,
    "alpha": float,
    "shift": float,
    "scale": float,
}
_LEAST = {
    "size": 1,
    "test": 2,
    "validation": 2,
    "seed": 0,
    "side": 1,
    "chains": 1,
    "thin": 1,
    "leapfrog_steps": 1,
    "burn_in": 10,
}
_WITHIN = {"alpha": (0.0, 0.5), "scale": (0.0, math.inf), "target_acceptance": (0.0, 1.0)}


def checked(
    experiment: Experiment,
) -> tuple[energies.AbstractEnergy | None, tuple[int, ...], list[Arm]]:
    """The energy that the experiment's data have, if it has one, the shape of an event, and the arms,
    with blanks for energies that are fitted.

    **Raises:** `ConfigError` with all that is wrong in the energy, the data and the arms.
    """
    problems = Problems()
    energy = problems.tried("[energy]", make_energy, experiment)
    check_data_table(experiment.tables.get("data", {}), problems)
    shape, condition, arms = None, None, []
    if not len(problems):
        shape = problems.tried("[data]", event_shape, experiment, energy)
        if shape is not None:
            condition = problems.tried("[data]", condition_of, experiment, energy)
    for arm in experiment.arms:
        if shape is None:
            settings_of(experiment, arm, problems)
        else:
            made = problems.tried(
                "", make_arm, experiment, arm, energy, shape, jax.random.key(0), condition=condition
            )
            arms.append(made)
            if made is not None:
                _check_choice(experiment, made, problems)
                _check_size(experiment, made, problems)
    problems.refuse(experiment.name)
    assert shape is not None
    return energy, shape, arms


def _check_choice(experiment: Experiment, arm: Arm, problems: Problems) -> None:
    """Note that validation is to choose an arm's weights, and there are no points for it."""
    if arm.training.selects and not experiment.tables.get("data", {}).get("validation"):
        problems.add(
            f"[data]: {heading('arm', arm.label)} chooses its weights by validation (`patience`, "
            "`keep`, `finish`), never by the test points: say how many points `validation` has, e.g. "
            "validation = 256."
        )


def _check_size(experiment: Experiment, arm: Arm, problems: Problems) -> None:
    """Note what an arm needs more points for than it will have, as far as the file says how many."""
    size = arm.size or experiment.tables.get("data", {}).get("size")
    if size is None:
        return
    lead = f"{heading('arm', arm.label)}: `path`"
    if arm.auto is not None and size < (least := max(2, arm.auto.settings.folds or 2)):
        problems.add(
            f"{lead} is chosen by parts of the training points: it needs at least {least}, and the arm "
            f"has {size}. Lower `folds`, or give a path."
        )
    for part in jax.tree.leaves(arm.path, is_leaf=_is_of_neighbours):
        if isinstance(part, hessians.Neighbours) and size <= part.neighbours:
            problems.add(
                f"{lead}: {part.neighbours} `neighbours` need at least {part.neighbours + 1} training "
                f"points, and the arm has {size}. Lower `neighbours` (and `bandwidth`), or give more."
            )


def _is_of_neighbours(part: object) -> bool:
    return isinstance(part, hessians.Neighbours)


def kinds_of_data() -> dict[str, Any]:
    """What every key of `[data]` is annotated with."""
    hidden = ("energy", "key", "progress")
    sampling = {name: kind for name, kind in annotations(data.sample).items() if name not in hidden}
    return {**sampling, **_OF_THE_TABLE}


def check_data_table(table: Mapping[str, Any], problems: Problems) -> None:
    """Note values of another kind, or out of range."""
    kinds = kinds_of_data()
    for name, value in table.items():
        words = wanted(kinds.get(name, Any), value)
        if words is None and name in _LEAST and value < _LEAST[name]:
            words = f"at least {_LEAST[name]}"
        low, high = _WITHIN.get(name, (-math.inf, math.inf))
        if words is None and name in _WITHIN and not low < value < high:
            words = "positive" if high == math.inf else f"between {low:g} and {high:g}"
        if words is not None:
            problems.add(f"[data]: `{name}` must be {words}; got {shown(value)}.")
