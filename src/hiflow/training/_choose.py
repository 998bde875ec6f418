"""`choose_path`: which path to train, by a look at the data and by trials on parts of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from hiflow import _border, energies, networks, priors
from hiflow._border import border
from hiflow._statistics import standard_error
from hiflow.energies import AbstractEnergy
from hiflow.networks import AbstractVelocityField
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.registry import Named
from hiflow.solver import Solver
from hiflow.training._candidates import PLENTY, Candidate, candidates
from hiflow.training._choice import Choice
from hiflow.training._evidence import seen
from hiflow.training._settings import Training
from hiflow.training._trials import (
    SHARE,
    Row,
    Trials,
    optional_size,
    trials_of,
    tried,
    why_none,
    with_error,
)


def _paths(value: object, what: str) -> Mapping[str, Any] | None:
    if value is None or (isinstance(value, Mapping) and value and all(map(_is_word, value))):
        return value
    raise ValueError(
        f"{what} must be a table of paths by their labels, at least one; got {value!r}."
    )


def _is_word(value: object) -> bool:
    return isinstance(value, str)


@border(
    "choose_path",
    network=_border.named(networks.registry),
    prior=_border.named(priors.registry),
    key=_border.key,
    energy=_border.named(energies.registry),
    paths=_paths,
    folds=optional_size,
    finalists=_border.size,
)
def choose_path(
    network: Named[AbstractVelocityField],
    data: object,
    *,
    prior: Named[AbstractPrior],
    key: PRNGKeyArray,
    energy: Named[AbstractEnergy] | None = None,
    paths: Mapping[str, Named[AbstractPath]] | None = None,
    folds: int | None = None,
    finalists: int = 3,
    training: Training | Mapping[str, object] | None = None,
    solver_settings: Solver | Mapping[str, object] | None = None,
    progress: bool = True,
    **settings: Any,
) -> Choice:
    r"""Choose a path for `data` and `energy`, with its Hessian provider, shift and step, and the number
    of training steps.

    Candidates are optimal transport, isotropic end laws, `Relaxed` with the Hessian at the sample and at
    the minimum, `Langevin` and `Saturating`. What is seen without training rules some of them out and
    gives the others their numbers: how many points there are and how far apart, the share of negative
    curvature, how likely points are under the end laws of the others, and the virial of the end laws
    (from a thousand points on, one that is biased isn't tried). Without an energy, or with one that has
    no Hessian, isotropic paths are left.

    These are trained on parts of the data for a quarter of the `steps`, and judged by the mean NLL of
    the points that were left out; the best few for all `steps`, of which fewer are taken if that is
    better by more than a standard error. The lowest NLL is chosen; from a thousand points on the
    simplest path, unless another is better by two standard errors.

    The cost is that of some `folds` × (2 + `finalists`) trainings. Only `data` are seen: test points
    stay good for a test.

    **Arguments:**

    - `network`, `data`, `prior`, `energy`: as [`fit`][hiflow.fit]'s; `data` as an array or
      [`Samples`][hiflow.data.Samples], whose chains are left out whole.
    - `key`: makes the parts, and batches, times and prior samples. The same key makes the same choice.
    - `paths`: candidates of your own in place of these, by their labels, the simplest first.
    - `folds`: how many parts are left out in turn; by default 5, and from 200 points on 1, a fifth of
      the data but at most 256 points.
    - `finalists`: how many are trained for all steps.
    - `training`, `settings`, `solver_settings`: as `fit`'s. A run that chooses its weights by validation
      (`keep="best"`, `patience`) is given all `steps`.
    - `progress`: show a progress bar, and print the choice.

    **Raises:** `ValueError` before any work is spent, as `fit` does, and for fewer points than `folds`
    or two; `RuntimeError` if every candidate fails.

    **Example:**

    ```pycon
    >>> two = {"OT": hf.paths.OptimalTransport(), "HI": hf.paths.Relaxed(ring)}
    >>> choice = hf.choose_path(
    ...     "mlp", points[:8], prior="normal", energy=ring, key=key, paths=two, folds=2, steps=8,
    ...     solver_settings={"method": "Heun", "steps": 4}, progress=False,
    ... )
    >>> best = hf.fit("mlp", choice.path, points[:8], prior="normal", key=key,
    ...               steps=choice.steps, progress=False)
    ```
    """
    choice = made_choice(
        network,
        data,
        prior=prior,
        key=key,
        energy=energy,
        paths=paths,
        folds=folds,
        finalists=finalists,
        training=training,
        solver_settings=solver_settings,
        progress=progress,
        **settings,
    )
    if progress:
        choice.show()
    return choice


def made_choice(
    network: Named[AbstractVelocityField],
    data: object,
    *,
    paths: Mapping[str, Named[AbstractPath]] | None = None,
    finalists: int,
    **surroundings: Any,
) -> Choice:
    """`choose_path` without a word."""
    trials = trials_of("choose_path", network, "optimal-transport", data, **surroundings)
    around, steps = trials.around, trials.ready.training.steps
    found = seen(around)
    if paths is None:
        rows = [Row(each) for each in candidates(around, found)]
    else:
        rows = [Row(Candidate(label, path)) for label, path in paths.items()]
    trials.score(rows, max(1, steps // SHARE))
    trials.score(sorted(rows, key=lambda row: row.least)[:finalists], steps)
    return _choice(rows, trials, str(found))


def _choice(rows: Sequence[Row], trials: Trials, evidence: str) -> Choice:
    finite = [row for row in rows if np.isfinite(row.least)]
    if not finite:
        raise RuntimeError(f"choose_path: no candidate could be trained. {why_none(rows)}")
    best = min(finite, key=lambda row: row.least)
    if len(trials.points) >= PLENTY:
        best = next(row for row in finite if row is best or not _is_worse(row, best))
    budget = trials.ready.training.steps
    steps = budget if trials.ready.training.stops_or_keeps else best.steps
    return Choice(
        path=trials.path(best.candidate),
        steps=steps,
        label=best.candidate.label,
        table=best.candidate.path,
        tried=tuple(map(tried, rows)),
        evidence=evidence,
        reason=_reason(best, finite, trials, steps),
    )


def _is_worse(row: Row, other: Row) -> bool:
    """By two standard errors, paired over the points."""
    more = row.best - other.best
    return float(more.mean()) > 2 * standard_error(more)


def _reason(best: Row, rows: Sequence[Row], trials: Trials, steps: int) -> str:
    words = trials.told(best.least, steps)
    others = [row for row in rows if row is not best]
    if not others:
        return f"{words}; nothing else could be trained."
    next_one = min(others, key=lambda row: row.least)
    more = next_one.best - best.best
    told = f"{next_one.candidate.label} has {with_error(more)}"
    if more.mean() < 0:
        return f"{words}; the simplest from which none is better by two errors ({told})."
    return f"{words}; of the others {told}."
