"""What may change in a configuration whose run is gone on with."""

import dataclasses
from collections.abc import Callable

from hiflow.experiments._failures import settings_of
from hiflow.experiments._toml import Experiment, Table


def refused_changes(
    before: Experiment, now: Experiment, is_open: Callable[[str], bool]
) -> list[str]:
    """What of the changes can't be made in the same folder, in words; none if all can.

    Arms can be added; those that failed or weren't begun can be changed or left out; the others can only
    be trained for more steps.

    **Arguments:**

    - `is_open`: whether nothing of an arm, by its label, has to stay.
    """
    refused = []
    arms = {arm["label"]: arm for arm in now.arms}
    for arm in before.arms:
        label = arm["label"]
        if is_open(label):
            continue
        if label not in arms:
            refused.append(f"arm {label!r} is missing")
            continue
        names = _changed(settings_of(before, arm), settings_of(now, arms[label]))
        if names:
            refused.append(f"other {', '.join(names)} of arm {label!r}")
    return refused


def _changed(before: Table, now: Table) -> list[str]:
    every = dict.fromkeys([*before, *now])
    names = [name for name in every if name != "training" and before.get(name) != now.get(name)]
    old, new = before["training"], now["training"]
    return names if old == new else [*names, *_changed_training(old, new)]


def _changed_training(old: Table, new: Table) -> list[str]:
    # Imported here because most that is refused is refused without JAX.
    from hiflow.training import Training

    # The weights don't depend on the others.
    counted = {f.name for f in dataclasses.fields(Training) if f.metadata.get("trajectory", True)}
    if Training().changed(**new).selects:
        counted.add("validate_at")
    changed = [name for name in {*old, *new} & counted if old.get(name) != new.get(name)]
    if changed == ["steps"]:
        fewer = Training().changed(**new).steps < Training().changed(**old).steps
        return ["training (fewer steps)"] if fewer else []
    return [f"training ({', '.join(sorted(changed))})"] if changed else []
