"""Arms that failed in training: what is kept of it, and what is done about it the next time."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hiflow._disk import read_json, write_json
from hiflow.experiments._toml import Experiment, Table

_NAME = "failed.json"
# What only scores depend on: after a change of it the trained weights are still good.
_SCORING = ("evaluation",)


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why an arm of one seed has no flow.

    **Arguments:**

    - `certain`: whether it would fail in the same way again.
    - `settings`: all that the arm was trained by, as [`settings_of`][hiflow.experiments.settings_of]
      gives it.
    """

    label: str
    seed: int
    reason: str
    certain: bool
    settings: Mapping[str, Any]

    def keep(self, place: Path) -> None:
        """Write it into the arm's folder."""
        place.mkdir(parents=True, exist_ok=True)
        write_json(place / _NAME, dataclasses.asdict(self))

    def __str__(self) -> str:
        return f"{self.label}, seed {self.seed}: {self.reason}"


def failure_in(place: Path) -> Failure | None:
    """What an arm's folder says of its failure; `None` if it hasn't failed."""
    file = place / _NAME
    if not file.is_file() or (place / "flow.hiflow").is_file():
        return None
    try:
        found = Failure(**read_json(file, ""))
    except (ValueError, TypeError):
        return None  # Damaged: it is trained again, and fails again if it has to.
    return found if isinstance(found.settings, dict) else None


def settings_of(experiment: Experiment, arm: Table) -> dict[str, Any]:
    """All that an arm's flow and scores depend on besides the seed."""
    shared = experiment.tables
    told = {"condition": arm["condition"]} if "condition" in arm else {}
    return {
        "energy": shared.get("energy"),
        "data": shared.get("data", {}),
        "path": arm.get("path"),
        "prior": arm.get("prior", shared.get("prior")),
        "network": arm.get("network", shared.get("network")),
        "training": {**shared.get("training", {}), **arm.get("training", {})},
        "size": arm.get("size"),
        "evaluation": shared.get("evaluation", {}),
        **told,
    }


def summary(failures: Sequence[Failure]) -> str:
    """Which arms failed, and what to do, in one line."""
    which = ", ".join(f"{each.label} (seed {each.seed})" for each in failures)
    return (
        f"failed: {which}. Their folders' {_NAME} say why; change their settings in the file and go on "
        "by --resume: what is trained stays."
    )


def is_settled(failure: Failure, settings: Mapping[str, Any]) -> bool:
    """Whether an arm with these settings would only fail again."""
    return failure.certain and failure.settings == settings


def forget(failure: Failure, place: Path, settings: Mapping[str, Any]) -> None:
    """Make room for a new try: what was trained by other settings goes."""
    if _trained_by(failure.settings) != _trained_by(settings):
        shutil.rmtree(place / "checkpoints", ignore_errors=True)
        (place / "history.jsonl").unlink(missing_ok=True)
    (place / _NAME).unlink(missing_ok=True)


def _trained_by(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in _SCORING}
