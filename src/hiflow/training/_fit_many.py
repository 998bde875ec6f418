"""`fit_many`: several flows trained at once, under one compiled step."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from hiflow import _border, energies, networks, paths, priors
from hiflow._border import Converter, border
from hiflow._devices import spread_over
from hiflow._interrupts import interrupts
from hiflow._kinds import shown
from hiflow.data import as_source
from hiflow.energies import AbstractEnergy
from hiflow.flow import Flow
from hiflow.networks import AbstractVelocityField
from hiflow.paths import AbstractPath
from hiflow.priors import AbstractPrior
from hiflow.registry import Named
from hiflow.solver import Solver, as_solver
from hiflow.training._begin import Begun, begin
from hiflow.training._checkpoints import Checkpoints
from hiflow.training._components import Components, told_energy
from hiflow.training._conditions import taught, with_points
from hiflow.training._fit import with_settings
from hiflow.training._history import History, checked_history
from hiflow.training._identity import identity_together
from hiflow.training._run import Run
from hiflow.training._settings import Training, as_training
from hiflow.training._together import refuse_unlike, train_together

# Arguments of `fit` that several flows don't have, and what there is instead.
_OF_ONE = {
    "key": "Pass `keys`, one for each flow.",
    "history": "Pass `histories`, one for each flow.",
    **dict.fromkeys(("callbacks", "mesh"), "Use hiflow.fit for it."),
}


def _one_or_each(convert: Converter) -> Converter:
    """What goes for all flows, or a list of what goes for each."""

    def converted(value: Any, what: str) -> Any:
        if isinstance(value, list | tuple):
            return [convert(each, f"{what}[{i}]") for i, each in enumerate(value)]
        return convert(value, what)

    return converted


def _in_memory(value: Any, what: str) -> Any:
    found = _border.data(value, what)
    if as_source(found) is not None:
        raise ValueError(
            f"{what} is a source whose rows are read as they are needed ({type(value).__name__}), and "
            "several flows are trained on points in memory. Pass an array, or call hiflow.fit by turns."
        )
    return found


def _keys(value: Any, what: str) -> list[Array]:
    """At least one key."""
    typed = isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)
    several = isinstance(value, jax.Array | np.ndarray) and value.ndim == (1 if typed else 2)
    if not several and not isinstance(value, list | tuple):
        raise ValueError(
            f"{what} must be several PRNG keys, one for each flow: jax.random.split(key, 5), or [key] "
            f"for one; got {shown(value)}."
        )
    if len(value) == 0:
        raise ValueError(f"{what} is empty: pass a key for each flow, jax.random.split(key, 5).")
    return [_border.key(each, f"{what}[{i}]") for i, each in enumerate(value)]


def _histories(value: Any, what: str) -> list[History] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise ValueError(
            f"{what} must be a list with a hiflow.History for each flow; got {shown(value)}."
        )
    found = [checked_history(each, f"{what}[{i}]") for i, each in enumerate(value)]
    if None in found or len(set(map(id, found))) < len(found):
        raise ValueError(f"{what} must be different histories: [hf.History() for _ in keys].")
    return [each for each in found if each is not None]


@border(
    "fit_many",
    network=_one_or_each(_border.named(networks.registry)),
    path=_border.named(paths.registry),
    data=_one_or_each(_in_memory),
    prior=_border.named(priors.registry),
    keys=_keys,
    energy=_border.named(energies.registry),
    validation=_one_or_each(_border.data_or_none),
    condition=_one_or_each(_border.condition),
    validation_condition=_one_or_each(_border.condition),
    histories=_histories,
)
def fit_many(
    network: Named[AbstractVelocityField] | Sequence[Named[AbstractVelocityField]],
    path: Named[AbstractPath],
    data: Any,
    *,
    prior: Named[AbstractPrior],
    keys: PRNGKeyArray | Sequence[PRNGKeyArray],
    energy: Named[AbstractEnergy] | None = None,
    validation: Any = None,
    condition: PyTree = None,
    validation_condition: PyTree = None,
    training: Training | Mapping[str, object] | None = None,
    solver_settings: Solver | Mapping[str, object] | None = None,
    histories: Sequence[History] | None = None,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    **settings: Any,
) -> list[Flow]:
    r"""Train a flow for every key, all at once under one compiled step: the seeds of an experiment, or
    the same on several data sets. Flow $i$ is `fit(network, path, data, key=keys[i], ...)` up to
    rounding: the same initial weights, batches, times and prior samples.

    It pays where one flow leaves the device idle, as small networks do on a GPU
    ([several flows at once](#several-flows-at-once)).

    A **list** (or tuple) as `network`, `data`, `validation`, `condition` or `validation_condition` has
    one for every key, all of the same shapes; anything else goes for all flows. Anchors of data that
    all share are made and held once.

    **Arguments:**

    - `keys`: one for each flow, `jax.random.split(key, 5)`. Each makes the batches, times and prior
      samples of its flow, and the weights of a network that is only named; an instance starts all
      flows with its own.
    - `data`, `validation`: in memory, `(n, *event)`, arrays or [`Samples`][hiflow.data.Samples].
    - `histories`: a list with a [`History`][hiflow.History] for every flow, to be filled. Their seconds
      are those of all flows together.
    - `checkpoint_dir`, `resume`: as in `fit`. The state of all flows is saved at once, with
      `history-0.jsonl`, `history-1.jsonl`, … beside it, and they are resumed together, bit for bit to
      what they would have been; those whose run is over stay as they were.
    - others: as in [`fit`][hiflow.fit]. With `keep="best"` every flow keeps the best of its own weights;
      with `patience` each keeps those of where its own run ends, and training goes on until the last
      one's does.

    Callbacks, `finish`, `anchor_dir`, a mesh of devices and several processes are for one flow: take
    [`fit`][hiflow.fit] for them. [`finish`][hiflow.finish] takes the flows one by one.

    **Returns:** the flows, in the order of the keys.

    **Raises:** as `fit` does, also for a `checkpoint_dir` of other keys or another number of flows; and
    `ValueError` before any work is spent for a list of another length than there are keys, data of
    unlike shapes, networks that differ in more than their weights, and what is for one flow;
    `TypeError` for an argument that only `fit` has; `FloatingPointError` if a flow's loss is no longer
    finite, before its run is over.

    **Example:**

    ```pycon
    >>> keys = jax.random.split(key, 3)
    >>> flows = hf.fit_many("mlp", hf.paths.Langevin(ring, curvature="absolute"), points,
    ...                     prior="normal", keys=keys, steps=40, batch_size=64, progress=False)
    >>> [flow.sample(key, 10).shape for flow in flows]
    [(10, 2), (10, 2), (10, 2)]
    ```
    """
    given = {
        "network": network,
        "data": data,
        "validation": validation,
        "condition": condition,
        "validation_condition": validation_condition,
    }
    for name in _OF_ONE.keys() & settings.keys():
        raise TypeError(f"fit_many: `{name}` is for one flow. {_OF_ONE[name]}")
    asked = as_training(training).changed(**settings)
    _refuse_for_one(asked)
    _check_lengths(given, len(keys))
    if histories is None:
        histories = [History() for _ in keys]
    elif len(histories) != len(keys):
        raise ValueError(
            f"fit_many: `histories` has {len(histories)}, and there are {len(keys)} `keys`."
        )
    common = {
        "path": path,
        "prior": prior,
        "energy": energy,
        "training": asked,
        "solver": as_solver(solver_settings),
        "progress": progress,
    }
    with spread_over(None):
        runs = _runs(given, common, list(keys), histories)
        refuse_unlike(runs)
        known = {} if checkpoint_dir is None else identity_together(runs)
        with (
            interrupts() as ending,
            Checkpoints(checkpoint_dir, known, asked.steps, resume) as checkpoints,
        ):
            runs = [run.extended(checkpoints.ends) for run in runs]
            return train_together(runs, checkpoints, ending)


setattr(fit_many, "__signature__", with_settings(fit_many))  # noqa: B010  as of fit


def _refuse_for_one(training: Training) -> None:
    """Raise `ValueError` for settings of what only one flow has."""
    cures = {
        "finish": "call hiflow.finish on each of the flows",
        "anchor_dir": "leave it out: the anchors are held in memory",
        "shard_parameters": "leave it out: all flows are trained on one device",
        "shard_anchors": "leave it out: all flows are trained on one device",
    }
    for name, cure in cures.items():
        if value := getattr(training, name):
            raise ValueError(
                f"fit_many: `{name}` is for one flow; got {value!r}. Use hiflow.fit, or {cure}."
            )
    if jax.process_count() > 1:
        raise ValueError(
            "fit_many: is for one process, and there are "
            f"{jax.process_count()}. Use hiflow.fit, which spreads every batch over all of them."
        )


def _check_lengths(given: dict[str, Any], number: int) -> None:
    """Raise `ValueError` for lists that aren't of one for each flow."""
    for name, value in given.items():
        if isinstance(value, list) and len(value) != number:
            raise ValueError(
                f"fit_many: a list as `{name}` has one for every flow; it has {len(value)}, and there "
                f"are {number} `keys`. What goes for all flows is no list: an array."
            )


def _runs(
    given: dict[str, Any],
    common: dict[str, Any],
    keys: list[PRNGKeyArray],
    histories: Sequence[History],
) -> list[Run]:
    """The runs; what goes for all is checked and made ready once."""

    def of(i: int) -> dict[str, Any]:
        return {name: each[i] if isinstance(each, list) else each for name, each in given.items()}

    def begun(i: int) -> Begun:
        try:
            return begin(
                **of(i),
                **common,
                key=keys[i],
                callbacks=(),
                history=histories[i],
                mesh=None,
                kept=False,
            )
        except ValueError as error:
            if i > 0:
                error.add_note(f"This is of flow {i}.")
            raise

    first, _, energy = begun(0)
    if any(isinstance(each, list) for each in given.values()):
        several = [first, *(begun(i).run for i in range(1, len(keys)))]
        return _sharing(several, [of(i)["data"] for i in range(len(keys))])
    ready, (_, asked) = first.ready, with_points(given["data"], given["condition"])
    told = told_energy(common["path"], None if common["energy"] is None else energy)
    runs = [first]
    for key, history in list(zip(keys, histories, strict=True))[1:]:
        making = Components(tuple(ready.prior.event_shape), key, asked)
        network = making.network(given["network"], ready.prior, told)
        own = taught(ready._replace(network=network), first.given.data)
        runs.append(dataclasses.replace(first, ready=own, key=key, history=history))
    return runs


def _sharing(runs: Sequence[Run], data: Sequence[Any]) -> list[Run]:
    """The runs, where those of one data set have one array of it, one path and so the same anchors."""
    firsts: dict[int, Run] = {}
    shared = []
    for run, points in zip(runs, data, strict=True):
        first = firsts.setdefault(id(points), run)
        ready = first.ready._replace(network=run.ready.network)
        shared.append(dataclasses.replace(run, ready=ready, points=first.points, units=first.units))
    return shared
