"""An arm whose path is chosen by its training points: once, before training, and kept in its folder."""

import dataclasses
import json
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import PRNGKeyArray
from rich.console import Console

from hiflow import _processes
from hiflow._disk import DamagedFile, fingerprint, read_json, write_json
from hiflow.data import Samples
from hiflow.experiments._arm import Arm
from hiflow.training._components import Components

CHOICE = "choice.json"


def with_choice(
    arm: Arm,
    place: Path,
    points: Samples,
    settings: Mapping[str, Any],
    *,
    key: PRNGKeyArray,
    progress: bool,
    console: Console,
) -> Arm:
    """The arm with the path and the number of steps that are chosen for it: as its folder says, or else
    by trials on its training points, which the folder then tells. One whose path is given stays.

    **Arguments:**

    - `settings`: all that the arm is made of; by others the choice is made anew.
    """
    if arm.auto is None:
        return arm
    asked = _asked(settings)
    # What the first process sees on disk counts.
    found = json.loads(_processes.exchange(json.dumps(_kept(place, asked)))[0])
    if found is None:
        found = {"asked": asked, **_chosen(arm, place, points, key, progress)}
        _processes.by_leader(partial(_keep, place, found))
    console.print("\n".join(f"  {line}" for line in found["why"]), markup=False, highlight=False)
    path = Components(tuple(arm.prior.event_shape), key).path(
        arm.auto.whole(found["path"]), arm.prior, arm.auto.energy
    )
    # The same share of the steps where a run is extended.
    steps = max(1, found["steps"] * arm.training.steps // found["of_steps"])
    return dataclasses.replace(arm, path=path, training=arm.training.changed(steps=steps))


def _chosen(
    arm: Arm, place: Path, points: Samples, key: PRNGKeyArray, progress: bool
) -> dict[str, Any]:
    assert arm.auto is not None
    choice = arm.auto.choose(
        place,
        arm.network,
        points,
        prior=arm.prior,
        key=key,
        training=arm.training,
        solver_settings=arm.solver,
        progress=progress,
    )
    return {
        "path": arm.auto.said(choice.table),
        "steps": choice.steps,
        "of_steps": arm.training.steps,
        "why": str(choice).splitlines(),
    }


def _asked(settings: Mapping[str, Any]) -> str:
    """What a choice depends on, in short. More steps than before leave it as it is, as scores do."""
    training = {name: each for name, each in settings["training"].items() if name != "steps"}
    return fingerprint(asked={**settings, "training": training, "evaluation": None}).digest


def _keep(place: Path, found: Mapping[str, Any]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / CHOICE, dict(found), indent=1)


def _kept(place: Path, asked: str) -> dict[str, Any] | None:
    """The choice that a folder holds for these settings."""
    file = place / CHOICE
    if not file.is_file():
        return None
    try:
        found = read_json(file, "The choice is made anew.")
    except DamagedFile as error:
        warnings.warn(str(error), stacklevel=2)
        return None
    whole = {"path": dict, "steps": int, "of_steps": int, "why": list}
    good = all(isinstance(found.get(name), kind) for name, kind in whole.items())
    return found if good and found.get("asked") == asked else None
