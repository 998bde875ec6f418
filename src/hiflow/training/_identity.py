"""What tells the checkpoints of one run from those of another."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import PyTree

from hiflow._disk import fingerprint, structure
from hiflow.training._run import Run


def identity(run: Run) -> dict[str, str]:
    """What the trained weights depend on, by name."""
    found = {name: _digest(part) for name, part in _parts(run).items()}
    return _with_settings(found, run)


def identity_together(runs: Sequence[Run]) -> dict[str, str]:
    """The same of several runs with the same settings."""
    each = [_parts(run) for run in runs]
    # Points that all share are read once. All parts are alive meanwhile, so no two have one id.
    known = {id(part): part for parts in each for part in parts.values()}
    digests = {which: _digest(part) for which, part in known.items()}
    found = {}
    for name in each[0]:
        several = [digests[id(parts[name])] for parts in each]
        found[name] = several[0] if len(set(several)) == 1 else _digest(several)
    found["keys"] = _digest([digests[id(parts["key"])] for parts in each])
    del found["key"]
    return _with_settings(found, runs[0]) | {"number of flows": str(len(runs))}


def _digest(part: Any) -> str:
    return fingerprint(part=part).digest


def _with_settings(found: dict[str, str], run: Run) -> dict[str, str]:
    # A coupling that is only named takes what it needs from the energy.
    return found | run.settings.identity() | {"coupling": _digest(run.ready.coupling)}


def _parts(run: Run) -> dict[str, Any]:
    """All but the settings."""
    # The network's initial weights follow from a key, and may differ in their last digit elsewhere.
    parts = {
        "data": getattr(run.points, "identity", run.points),
        "network": structure(run.ready.network),
        "path": run.ready.path,
        "prior": run.ready.prior,
        "key": run.key,
        "validation": _choice(run),
    }
    return parts if run.given.data is None else parts | {"condition": run.given.data}


def _choice(run: Run) -> PyTree:
    """What validation is made of, where the weights depend on it."""
    if not run.settings.selects:
        return None
    chosen = run.held_out, run.settings.validate_at, run.solver
    return chosen if run.given.held_out is None else (*chosen, run.given.held_out)
