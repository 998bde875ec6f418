"""`choose_path`: which path to train, by a look at the data and by trials on parts of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from hiflow import _border, energies, networks, priors
from hiflow._border import border
from hiflow._checks import one_of
from hiflow._kinds import accepted
from hiflow.energies import AbstractEnergy
from hiflow.networks import AbstractVelocityField
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.registry import Named
from hiflow.solver import Solver
from hiflow.training._candidates import PLENTY, Candidate, candidates
from hiflow.training._choice import Choice
from hiflow.training._evidence import seen
from hiflow.training._moved import judges
from hiflow.training._scores import Row, tried, why_none
from hiflow.training._settings import Training
from hiflow.training._trials import (
    MANY,
    SHARE,
    Trials,
    optional_size,
    refuse_conditions,
    trials_of,
)

# Who judges trained flows.
judging = one_of("auto", "moved", "left-out")
# Splits fold smaller numbers into the key.
_JUDGES = 2**32 - 2


def _paths(value: object, what: str) -> Mapping[str, Any] | None:
    if value is None or (isinstance(value, Mapping) and value and all(map(_is_word, value))):
        return value
    raise ValueError(
        f"{what} must be a table of paths by their labels, at least one; got {value!r}."
    )


def _judge(value: object, what: str) -> str:
    return accepted(judging, value, what)


def _is_word(value: object) -> bool:
    return isinstance(value, str)


@border(
    "choose_path",
    network=_border.named(networks.registry),
    data=_border.data,
    prior=_border.named(priors.registry),
    key=_border.key,
    energy=_border.named(energies.registry),
    paths=_paths,
    judge=_judge,
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
    judge: str = "auto",
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
    curvature, how likely other points are under their end laws, and the virial of the end laws
    (from a thousand points on, one that is biased isn't tried).

    These are trained for a quarter of the `steps`, the best few for all of them, and judged by the mean
    NLL of points that they weren't trained on. Below 200 points these are, if the data are samples of
    an `energy`, points to which it moves the data. Hamiltonian Monte Carlo leaves $p \propto e^{-V}$ as
    it is, so that a sample that it moves is a sample still, and one that a flow of all data hasn't seen
    once the chain has forgotten where it began: its correlation $\rho$ with that is measured, by $1 +
    \rho = E|y - y'|^2 / E|y - x|^2$ of two chains $y$, $y'$ from the same $x$. No chain crosses a
    barrier: $y$ is of $\hat p = \sum_w (n_w/n)\, p_w$ over the wells with $n_w$ of the $n$ points, and
    $-E \log q(y)$ is $KL(\hat p \,\|\, q)$ up to a constant. That is what can be known; of wells
    without a point nothing can. Points that are left out judge otherwise, and without an energy. Where
    a well has one of ten points, its NLL under flows of the other nine decides alone, for laws that
    reach from well to well, which the flow of all ten has no need of. The reverse $KL(q \,\|\, \hat p)$
    would need no points, but it is large wherever a stiff energy is, and says little of how likely
    points are.

    The lowest NLL is chosen, and fewer steps if they are better by more than a standard error; from a
    thousand points on the simplest path, unless another is better by two standard errors. Errors are
    over chains, where `data` have some: if those of one alone are left out, nothing is better. Without
    an energy, or with one that has no Hessian, isotropic paths are left.

    The cost is that of some 2 + 2 `finalists` trainings and a million gradients of the energy; where
    points are left out in parts, of `folds` times 2 + `finalists` trainings. Only `data` are seen: test
    points stay good for a test.

    **Arguments:**

    - `network`, `data`, `prior`, `energy`: as [`fit`][hiflow.fit]'s; `data` as an array or
      [`Samples`][hiflow.data.Samples], whose chains are left out whole.
    - `key`: makes the parts, and batches, times and prior samples. The same key makes the same choice.
    - `paths`: candidates of your own in place of these, by their labels, the simplest first.
    - `judge`: by which points: `"moved"` ones, those `"left-out"`, or, `"auto"`, moved ones below 200
      points, unless the energy is fitted to the data or calculated on the host, they aren't samples of
      it, by four standard errors of how much it moves them up, $\rho$ is above a half, or `folds` are
      given. The choice, printed, says which and why.
    - `folds`: how many parts are left out in turn; by default 5, and from 200 points on 1, a fifth of
      the data but at most 256 points; of chains eight may have more, and of fewer than ten all are left
      out in 5 parts.
    - `finalists`: how many are trained for all steps.
    - `training`, `settings`, `solver_settings`: as `fit`'s. A run that chooses its weights by validation
      (`keep="best"`, `patience`) is given all `steps`.
    - `progress`: show a progress bar, and print the choice.

    **Raises:** `ValueError` before any work is spent, as `fit` does, and for fewer points than `folds`
    or two, or if points are to be moved and can't be; `RuntimeError` if every candidate fails.

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
    refuse_conditions(None, "condition" in settings, "choose_path")
    choice = made_choice(
        network,
        data,
        prior=prior,
        key=key,
        energy=energy,
        paths=paths,
        judge=judge,
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
    judge: str,
    finalists: int,
    **surroundings: Any,
) -> Choice:
    """`choose_path` without a word."""
    trials = trials_of("choose_path", network, "optimal-transport", data, **surroundings)
    trials, why_left_out = _with_judges(trials, judge, surroundings["folds"])
    around, steps = trials.around, trials.ready.training.steps
    found = seen(around)
    if paths is None:
        rows = [Row(each) for each in candidates(around, found)]
    else:
        rows = [Row(Candidate(label, path)) for label, path in paths.items()]
    trials.score(rows, max(1, steps // SHARE))
    best = sorted(rows, key=lambda row: row.least)[:finalists]
    # The flow that judges judge is that of all points, and so they know when it is to stop.
    if trials.judges is not None:
        for fewer in (steps // SHARE**2, steps // 2):
            trials.score(best, max(1, fewer))
    trials.score(best, steps)
    return _choice(rows, trials, "; ".join(filter(None, [str(found), why_left_out])))


def _with_judges(trials: Trials, judge: str, folds: int | None) -> tuple[Trials, str]:
    """The trials with points that the energy moves to judge them; where they are to be left out, or the
    energy can't move them, without, and why."""
    enough = folds is not None or len(trials.points) >= MANY
    if judge == "left-out" or (judge == "auto" and enough):
        return trials, ""
    key = jax.random.fold_in(trials.key, _JUDGES)
    points, why = judges(trials.ready.energy, trials.points, key, trials.chains)
    if judge == "moved" and points is None:
        raise ValueError(
            "choose_path: `judge` is 'moved', which takes an `energy` that the data are samples of; "
            f"{why or 'there is none'}. Say judge='left-out'."
        )
    return dataclasses.replace(trials, judges=points), why


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
    return float(more.mean()) > 2 * row.error(more)


def _reason(best: Row, rows: Sequence[Row], trials: Trials, steps: int) -> str:
    words = trials.told(best.least, best.steps)
    if steps != best.steps:
        words += f", and {steps:,} steps of which validation takes the best"
    others = [row for row in rows if row is not best]
    if not others:
        return f"{words}; nothing else could be trained."
    next_one = min(others, key=lambda row: row.least)
    more = next_one.best - best.best
    told = f"{next_one.candidate.label} has {best.told(more)}"
    if next_one.steps != best.steps:
        told += f" after {next_one.steps:,} steps"
    if more.mean() < 0:
        return f"{words}; the simplest from which none is better by two errors ({told})."
    return f"{words}; of the others {told}."
