"""`learn_path`: the numbers of a path, its spectral maps' among them, by the likelihood of points that
were left out."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from hiflow import _border, energies, networks, paths, priors
from hiflow._border import border
from hiflow._disk import fingerprint
from hiflow._kinds import shown
from hiflow.energies import AbstractEnergy
from hiflow.networks import AbstractVelocityField
from hiflow.priors import AbstractPrior
from hiflow.registry import Named
from hiflow.solver import Solver
from hiflow.training._candidates import Candidate
from hiflow.training._choice import Choice
from hiflow.training._evidence import seen
from hiflow.training._kept_trials import KeptTrials
from hiflow.training._ranges import Range, check_ends, ranges_of
from hiflow.training._scores import Row, tried, why_none
from hiflow.training._search import GIVEN, Search
from hiflow.training._settings import Training
from hiflow.training._trials import Trials, optional_size, refuse_conditions, trials_of


def _table(value: object, what: str) -> Mapping[str, object]:
    if isinstance(value, str | Mapping):
        table = paths.registry.table_of(value)
        paths.registry.get(table["name"])
        return table
    raise ValueError(
        f"{what} must be a name or a table, as a file has it, in which numbers can be replaced, such as "
        f"{{'name': 'relaxed', 'curvature': 'affine-power'}}; got {shown(value)}."
    )


def _bounds(value: object, what: str) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    raise ValueError(
        f"{what} must be a table of bounds, such as {{'curvature': {{'floor': [0.1, 100.0]}}}}; got "
        f"{shown(value)}."
    )


def _folder(value: object, what: str) -> str | os.PathLike[str] | None:
    if value is None or isinstance(value, str | os.PathLike):
        return value
    raise ValueError(f"{what} must be a folder's name, or left out; got {shown(value)}.")


@border(
    "learn_path",
    network=_border.named(networks.registry),
    path=_table,
    learn=_bounds,
    data=_border.data,
    prior=_border.named(priors.registry),
    key=_border.key,
    energy=_border.named(energies.registry),
    trials=_border.size,
    finalists=_border.size,
    folds=optional_size,
    folder=_folder,
)
def learn_path(
    network: Named[AbstractVelocityField],
    path: str | Mapping[str, object],
    data: object,
    *,
    learn: Mapping[str, object],
    prior: Named[AbstractPrior],
    key: PRNGKeyArray,
    energy: Named[AbstractEnergy] | None = None,
    trials: int = 12,
    finalists: int = 2,
    folds: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    training: Training | Mapping[str, object] | None = None,
    solver_settings: Solver | Mapping[str, object] | None = None,
    progress: bool = True,
    **settings: Any,
) -> Choice:
    r"""Learn numbers of a path for `data`: those of its spectral maps, as rates or as curvature, the
    scale of its end law, or any others.

    Two kinds of likelihood say what is good, both of points that were left out. *Of the end laws*: how
    likely points are under the mean end law of all others, in closed form and so by gradient (Optax's
    Adam), without training. Where a network without symmetries is to learn an end law, it proposes
    numbers. *Of trained flows*: trials on parts of the data, for a quarter of the `steps`. The first is
    the path as given, the second what the end laws propose, and the others follow by Nelder and Mead's
    simplex (SciPy), which only compares trials: no gradient is needed, and one that fails is the worst.
    The best few, and the first two, are trained for all `steps`, and the least NLL counts. Steps and
    learning rate should be such that a quarter of them gets a flow most of the way.

    Only `data` are seen: test points stay good for a test.

    **Arguments:**

    - `network`, `data`, `prior`, `energy`: as [`choose_path`][hiflow.choose_path]'s.
    - `path`: a path's name or table, as a file has it.
    - `learn`: the lower and upper bound of every number that is learned, laid out as `path` is. A number
      whose lower bound is above 0 is searched evenly in its logarithm. Two to six can be searched by a
      dozen trials or two.
    - `key`: makes the parts, and batches, times and prior samples. The same key makes the same choice.
    - `trials`: how many sets of numbers are tried. `finalists`: how many of these for all steps.
    - `folds`: as `choose_path`'s.
    - `folder`: keeps what trials have found, in `trials.json`; the same call goes on from there.
    - `training`, `settings`, `solver_settings`, `progress`: as `choose_path`'s.

    **Raises:** `ValueError` before any work is spent, as `fit` does, and for ranges of what `path`
    doesn't have, or doesn't take at one of their ends; `RuntimeError` if every trial fails.

    **Example:**

    ```pycon
    >>> end_law = {"name": "relaxed", "curvature": "affine-power", "step": 0.5}
    >>> choice = hf.learn_path(
    ...     "mlp", end_law, points[:8], learn={"curvature": {"floor": [0.1, 30.0]}},
    ...     prior="normal", energy=ring, key=key, trials=2, folds=2, steps=8,
    ...     solver_settings={"method": "Heun", "steps": 4}, progress=False,
    ... )
    >>> flow = hf.fit("mlp", choice.path, points[:8], prior="normal", key=key,
    ...               steps=choice.steps, progress=False)
    ```
    """
    refuse_conditions(None, "condition" in settings, "learn_path")
    choice = learned(
        network,
        paths.registry.table_of(path),
        data,
        learn=learn,
        prior=prior,
        key=key,
        energy=energy,
        trials=trials,
        finalists=finalists,
        folds=folds,
        folder=folder,
        training=training,
        solver_settings=solver_settings,
        progress=progress,
        **settings,
    )
    if progress:
        choice.show()
    return choice


def learned(
    network: Named[AbstractVelocityField],
    path: Mapping[str, object],
    data: object,
    *,
    learn: object,
    trials: int,
    finalists: int,
    folder: str | os.PathLike[str] | None,
    **surroundings: Any,
) -> Choice:
    """`learn_path` without a word."""
    ranges = ranges_of(learn, path)
    made = trials_of("learn_path", network, path, data, **surroundings)
    check_ends(lambda table: made.path(Candidate("", table)), path, ranges)
    made = _with_memory(made, path, ranges, folder)
    search = Search(made, path, ranges, trials)
    words = search.run()
    steps, rows = made.ready.training.steps, search.rows
    last = [search.given, search.proposed, *sorted(rows, key=search.loss_of)[:finalists]]
    made.score([row for row in rows if any(row is each for each in last)], steps)
    return _choice(rows, made, f"{seen(made.around)}; {words}")


def _with_memory(
    made: Trials, path: Mapping[str, Any], ranges: Sequence[Range], folder: Any
) -> Trials:
    """The trials, with those of the folder among what they know."""
    ready = made.ready
    training = {name: each for name, each in ready.training.identity().items() if name != "steps"}
    asked = fingerprint(
        parts=(ready.network, ready.prior, ready.energy, made.solver),
        path=path,
        places=[str(each) for each in ranges],
        points=made.points,
        splits=made.splits,
        key=made.key,
        training=training,
    )
    return dataclasses.replace(made, kept=KeptTrials(folder, asked.digest))


def _choice(rows: Sequence[Row], trials: Trials, evidence: str) -> Choice:
    """The best of those that were trained for all steps; `rows` has the path as given first."""
    steps = trials.ready.training.steps
    finished = [row for row in rows if steps in row.nll and np.isfinite(row.mean(steps))]
    if not finished:
        raise RuntimeError(f"learn_path: no trial could be trained. {why_none(rows)}")
    best = min(finished, key=lambda row: row.mean(steps))
    return Choice(
        path=trials.path(best.candidate),
        steps=steps,
        label=best.candidate.label,
        table=best.candidate.path,
        tried=tuple(map(tried, rows)),
        evidence=evidence,
        reason=f"{trials.told(best.mean(steps), steps)}; {_gain(best, rows, steps)}.",
    )


def _gain(best: Row, rows: Sequence[Row], steps: int) -> str:
    """How much was learned, in words."""
    given = rows[0]
    if best is given:
        return f"none of {len(rows) - 1} other trials is better"
    if steps not in given.nll or not np.isfinite(given.mean(steps)):
        return f"{GIVEN} it has none ({given.trouble})"
    return f"{GIVEN} it has {best.told(given.nll[steps] - best.nll[steps])}"
