"""Whether a fixed number of the solver's steps is enough: a few likelihoods by twice as many."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array

from hiflow._disk import kept, read_json, write_json
from hiflow.energies import AbstractEnergy
from hiflow.experiments._member import Member, samples_of
from hiflow.experiments._run_folder import Row
from hiflow.flow import Flow

# Of so many test points, where there are at least `_LEAST` of them.
_POINTS, _LEAST = 8, 32
# In nats: a mean change that matters, and one of a single point.
_MEAN, _SINGLE = 0.1, 0.5


def look(member: Member, energy: AbstractEnergy | None) -> None:
    """Look whether its number of steps is enough, if it has one."""
    if not member.has_density or len(member.nll) < _LEAST:
        return

    def make() -> Row | None:
        flow = member.flow()
        if flow.solver.steps is None:
            return None
        _, test = samples_of(member, energy)
        condition = test.condition if member.is_told else None
        return doubled(flow, test.points, condition, member.scores["log_prob"])

    path = member.place / "doubled.json"
    member.doubled = kept(
        path, lambda: write_json(path, make(), indent=None), lambda: read_json(path, "", None)
    )


def doubled(flow: Flow, points: Array, condition: Any, log_prob: Sequence[float]) -> Row | None:
    """How the NLL of the first test points changes; `None` of few points, of adaptive steps, or where
    the divergence is estimated: its noise would be told as the steps'.

    **Arguments:**

    - `log_prob`: by the flow's own number of steps.
    """
    steps, divergence = flow.solver.steps, type(flow.solver.divergence).__name__
    if steps is None or divergence != "Exact" or len(log_prob) < _LEAST:
        return None
    size = _POINTS
    told = None if condition is None else condition[:size]
    finer = flow.log_prob(points[:size], condition=told, steps=2 * steps)
    change = np.asarray(log_prob[:size], np.float64) - np.asarray(finer, np.float64)
    mean, largest = float(change.mean()), float(np.abs(change).max())
    return {"solver_steps": steps, "doubled": mean, "doubled_largest": largest}


def columns(rows: Sequence[Row | None]) -> Row:
    """Of all seeds of an arm: the mean change and the largest of a point."""
    known = [row for row in rows if row is not None]
    if not known:
        return dict.fromkeys(("solver_steps", "doubled", "doubled_largest"))
    return {
        "solver_steps": known[0]["solver_steps"],
        "doubled": float(np.mean([row["doubled"] for row in known])),
        "doubled_largest": max(row["doubled_largest"] for row in known),
    }


def doubt(row: Row) -> str | None:
    """Why an arm's steps are too few, in a sentence, or `None`."""
    if row.get("doubled") is None:
        return None
    mean, largest = row["doubled"], row["doubled_largest"]
    if abs(mean) <= _MEAN and largest <= _SINGLE:
        return None
    return (
        f"{row['label']}: {row['solver_steps']} steps of the solver are too few. By twice as many the "
        f"NLL of {_POINTS} test points is {mean:+.2f} nats from what it was, that of one point up to "
        f"{largest:.2f}. Take more `steps` in [evaluation], or tolerances in place of them."
    )
