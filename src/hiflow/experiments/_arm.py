"""One arm of an experiment: its tables made into the objects that `fit` takes."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from jaxtyping import PRNGKeyArray

from hiflow import couplings, energies, networks, paths, priors
from hiflow._words import nearest
from hiflow.data import Samples
from hiflow.experiments._auto_settings import Auto, AutoSettings, is_auto, settings_in
from hiflow.experiments._condition import Condition, check_network, told
from hiflow.experiments._filed_prior import filed_prior
from hiflow.experiments._fitted import FittedEnergies
from hiflow.experiments._fitted_prior import fitted_prior
from hiflow.experiments._learned import Learned, is_learned, learned_in
from hiflow.experiments._problems import ConfigError, Problems, worded
from hiflow.experiments._structure import heading
from hiflow.experiments._toml import Experiment, Table
from hiflow.solver import Solver
from hiflow.training import Training
from hiflow.training._components import Components
from hiflow.training._conditions import check_exchange, check_told
from hiflow.training._preflight import make_ready
from hiflow.training._ranges import check_ends
from hiflow.training._trials import refuse_conditions

S = TypeVar("S")
_DEFAULTS = {"network": "mlp", "prior": "normal"}
# For a path that is chosen later: it fits whatever others fit.
_STAND_IN = "optimal-transport"
_Parts = tuple[
    networks.AbstractVelocityField,
    paths.AbstractPath,
    priors.AbstractPrior,
    Auto | Learned | None,
]


@dataclasses.dataclass(frozen=True)
class Arm:
    """All that `fit` takes for one arm and seed.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> what = experiments.read("ring-quick")
    >>> arm = experiments.make_arm(what, what.arms[0], ring, (2,), key)
    >>> flow = hf.fit(arm.network, arm.path, points, prior=arm.prior, key=key,
    ...               training=arm.training, steps=10, validate_at=(), progress=False)
    ```
    """

    label: str
    network: networks.AbstractVelocityField
    path: paths.AbstractPath
    prior: priors.AbstractPrior
    training: Training
    solver: Solver
    size: int | None
    """Of how many training points the arm sees the first; `None` for all."""
    auto: Auto | Learned | None = None
    """What its path is to be chosen by; `path` is a stand-in then, or as given."""
    condition: Condition | None = None
    """The conditions that it is told."""

    def seen(self, samples: Samples) -> Samples:
        """What it sees of samples: without their conditions unless it is told them."""
        return samples.untold() if self.condition is None else samples


def make_arm(
    experiment: Experiment,
    arm: Table,
    energy: energies.AbstractEnergy | None,
    event_shape: tuple[int, ...],
    key: PRNGKeyArray,
    fitted: FittedEnergies | None = None,
    condition: Condition | None = None,
) -> Arm:
    """One arm's components. The network's initial weights depend on `key` alone, not on the arm.

    **Arguments:**

    - `fitted`: fits energies to data where a table asks for it; by default they are blanks.
    - `condition`: what `[data]`'s points come with; arms that say `condition = false` aren't told.

    **Raises:** `ConfigError` with all wrong settings, and what doesn't fit together.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> what = experiments.read("ring-quick")
    >>> arm = experiments.make_arm(what, what.arms[0], ring, (2,), key)
    >>> arm.label, type(arm.path).__name__
    ('OT-FM', 'OptimalTransport')
    ```
    """
    problems = Problems()
    fitted = FittedEnergies(event_shape) if fitted is None else fitted
    training, solver = settings_of(experiment, arm, problems)
    heard = problems.tried("", told, arm, condition)
    if training is not None and heard is None and condition is not None:
        training = problems.tried("", _without_dropout, experiment, arm, training)
    parts = _components(experiment, arm, energy, event_shape, key, fitted, heard, problems)
    problems.refuse()
    assert training is not None
    assert solver is not None
    assert parts is not None
    network, path, prior, auto = parts
    where = heading("arm", arm["label"])
    problems.tried(place_of(experiment, arm, "network"), check_network, network, heard)
    if auto is not None:
        problems.tried(
            place_of(experiment, arm, "path"), refuse_conditions, network, heard is not None
        )
    problems.refuse()
    ready = problems.tried(where, make_ready, network, path, prior, energy, training)
    if ready is not None:
        problems.tried(where, check_told, ready, heard is not None)
        if heard is not None:
            exchanged = ready.coupling, heard.different, training.batch_size
            problems.tried(where, check_exchange, *exchanged)
    problems.refuse()
    size = arm.get("size")
    return Arm(arm["label"], network, path, prior, training, solver, size, auto, heard)


def _without_dropout(experiment: Experiment, arm: Table, training: Training) -> Training:
    """What `[training]` says of conditions doesn't concern an arm that isn't told them."""
    if any("condition_dropout" in table for _, table in _own_tables(experiment, arm, "training")):
        raise ConfigError(
            f"{heading('arm', arm['label'])}: `condition_dropout` is for arms that are told a "
            "condition, and this one says `condition` = false."
        )
    return training.changed(condition_dropout=0.0)


def settings_of(
    experiment: Experiment, arm: Table, problems: Problems
) -> tuple[Training | None, Solver | None]:
    """The settings of an arm, each `None` where something is wrong with it."""
    shared = experiment.tables.get("training", {})
    sources = {"[training]": shared, **dict(_own_tables(experiment, arm, "training"))}
    training = _settings(Training().changed, _names(Training), sources, problems)
    if training is not None and not isinstance(training.coupling, couplings.AbstractCoupling):
        for fault in couplings.registry.faults(training.coupling):
            place = [each for each, table in sources.items() if "coupling" in table][-1]
            problems.add(worded(place, fault.under("coupling")))
    evaluation = {"[evaluation]": experiment.tables.get("evaluation", {})}
    return training, _settings(Solver().changed, ["solver", *_names(Solver)], evaluation, problems)


def place_of(experiment: Experiment, arm: Table, key: str) -> str:
    """Where in the file an arm's component is said."""
    own = [where for where, _ in _own_tables(experiment, arm, key)]
    return own[-1] if own else f"[{key}]"


def _own_tables(experiment: Experiment, arm: Table, key: str) -> Iterator[tuple[str, Table]]:
    """What the arm and its variant say of a key, with their places; the last one counts."""
    for kind in ("arm", "variant"):
        for table in experiment.tables.get(kind, []):
            if table["label"] == arm[kind] and key in table:
                yield f"{heading(kind, arm[kind])} {key}", table[key]


def _components(
    experiment: Experiment,
    arm: Table,
    energy: energies.AbstractEnergy | None,
    event_shape: tuple[int, ...],
    key: PRNGKeyArray,
    fitted: FittedEnergies,
    condition: Condition | None,
    problems: Problems,
) -> _Parts | None:
    size, shared = arm.get("size"), experiment.tables
    tables = {name: arm.get(name, shared.get(name, default)) for name, default in _DEFAULTS.items()}
    where = {name: place_of(experiment, arm, name) for name in ("network", "path", "prior")}
    made = Components(event_shape, key, {} if condition is None else condition.asked)
    points = None if fitted.points is None else fitted.points[:size]
    table = problems.tried(where["prior"], fitted_prior, tables["prior"], event_shape, points)
    if table is not None:
        table = problems.tried(where["prior"], filed_prior, table, event_shape, energy)
    prior = None if table is None else problems.tried(where["prior"], made.prior, table)
    if prior is None:
        problems.note_all(where["network"], networks.registry.faults(tables["network"]))
        return None
    network = problems.tried(where["network"], made.network, tables["network"], prior, energy)
    fitted = fitted.around(prior)
    default = shared.get("energy") if energy is None else None
    inside = Problems()
    if default is not None:
        energy = inside.tried("[energy]", fitted.make, default, size)
    auto, path = None, arm["path"]
    inner = partial(fitted.inside, size=size, energy=energy)
    if is_auto(path):
        settings = inside.tried(where["path"], settings_in, AutoSettings, path)
        auto, path = settings and Auto(settings, energy), _STAND_IN
    elif is_learned(path):
        auto = inside.tried(where["path"], learned_in, path, energy, inner)
        path = None if auto is None else auto.made
    else:
        path = inside.tried(where["path"], inner, path)
    problems.take(inside)
    if len(inside):
        return None
    if isinstance(auto, Learned):
        build = partial(made.path, prior=prior, energy=energy)
        problems.tried(where["path"], check_ends, build, auto.made, auto.ranges)
    path = problems.tried(where["path"], made.path, path, prior, energy)
    if network is None or path is None:
        return None
    return network, path, prior, auto


def _names(settings: type[Training] | type[Solver]) -> list[str]:
    return [field.name for field in dataclasses.fields(settings)]


def _settings(
    changed: Callable[..., S], known: list[str], sources: dict[str, Table], problems: Problems
) -> S | None:
    """The settings that tables say, the later ones over the earlier."""
    unknown = Problems()
    for where, table in sources.items():
        for name in table:
            if name not in known:
                unknown.add(
                    f"{where}: unknown setting {name!r}{nearest(name, known)} There are "
                    f"{', '.join(known)}."
                )
    problems.take(unknown)
    if len(unknown):
        return None
    merged = {name: value for table in sources.values() for name, value in table.items()}
    together, alone = Problems(), Problems()
    made = together.tried(list(sources)[-1], changed, **merged)
    if made is not None:
        return made
    for where, table in sources.items():
        for name, value in table.items():
            alone.tried(where, changed, **{name: value})
    problems.take(alone if len(alone) else together)  # What is right alone may not be together.
    return None
