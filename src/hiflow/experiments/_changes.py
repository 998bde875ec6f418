"""What may change in a configuration whose run is gone on with."""

from collections.abc import Callable
from typing import Any

from hiflow.experiments._failures import settings_of
from hiflow.experiments._toml import Experiment, Table

# The weights don't depend on them, and the history says at which steps it was scored.
_WATCHED = {"validate_at", "checkpoint_every", "anchor_dir"}


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
    names = [name for name in before if name != "training" and before[name] != now[name]]
    old, new = before["training"], now["training"]
    if any(old.get(name) != new.get(name) for name in {*old, *new} - {"steps"} - _WATCHED):
        names.append("training")
    elif old.get("steps") != new.get("steps") and _steps(new) < _steps(old):
        names.append("training (fewer steps)")
    return names


def _steps(training: dict[str, Any]) -> int:
    from hiflow.training import Training

    return Training().changed(**training).steps
