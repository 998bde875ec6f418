"""Run folders side by side: paired likelihoods, what they cost, and samples against the energy."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.console import Console

from hiflow._disk import kept, read_arrays, read_json, trusting, write_arrays, write_json
from hiflow._statistics import Pooled, part_of
from hiflow.energies import AbstractEnergy, SupportsSampling
from hiflow.experiments._classes import MOST, kept_scores
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._data import from_file, test_origins, validation_samples
from hiflow.experiments._doubled import look
from hiflow.experiments._fitted import make_energy
from hiflow.experiments._member import Control, Member, members_of, samples_of, size_of
from hiflow.experiments._run_folder import Row, RunFolder
from hiflow.metrics import Weighted, negative_log_likelihood, of_every, weigh

MADE_OF_FLOWS = (
    "validation.json", "doubled.json", "sweep-*.json", "samples-*.npz", "images-*.npz", "classes.npz",
)  # fmt: skip
"""The files that are kept beside a flow."""
TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5)
STEPS = (4, 8, 16, 32, 64)
T = TypeVar("T")
_TIGHT = 1e-6
_ENOUGH = 20_000


def compare(
    runs: Sequence[str | os.PathLike[str]],
    *,
    against: str | None = None,
    only: Sequence[str] = (),
    sweep: int = 0,
    samples: int = 0,
    console: Console | None = None,
    trust: Sequence[str] = (),
) -> Comparison:
    """Compare the arms of one or several run folders of the same experiment or energy.

    Likelihoods are compared point by point, seed by seed, with those of the reference arm. Arms with a
    `family` are also compared by their family's best, chosen by its mean NLL over `[data]`'s
    `validation` points, if it has any. Of flows that are solved in a fixed number of
    steps eight test points are computed by twice as many, where there are 32 or more: `doubled` of a row
    is how the NLL changes. What has to be
    computed anew is kept in the run folders.

    **Arguments:**

    - `against`: label of the reference arm, by default the first (of every variant).
    - `only`: the labels to compare, by default all.
    - `sweep`: on how many test points of the first seed the NLL is computed at several tolerances and
      fixed numbers of steps; 0 leaves that out.
    - `samples`: how many samples are drawn from every flow and weighted by the energy; 0 for none.
    - `trust`: packages of your own that the runs' files may name.

    **Raises:** `ValueError` if the runs have different energies or test points, a label is unknown, or a
    file is damaged.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> found = experiments.compare(["run"], against="OT-FM")  # the run that `train` made
    >>> [row["label"] for row in found.rows()]
    ['OT-FM', 'isotropic end law', 'HI-FM (Langevin)']
    ```
    """
    with trusting(*trust):
        return _compared(runs, against, only, sweep, samples, console or Console())


def _compared(
    runs: Sequence[str | os.PathLike[str]],
    against: str | None,
    only: Sequence[str],
    sweep: int,
    samples: int,
    console: Console,
) -> Comparison:
    members = [member for run in runs for member in members_of(RunFolder(run))]
    first, *others = (member.experiment for member in members)
    _check_conditions(members)
    if any(each.tables.get("energy") != first.tables.get("energy") for each in others):
        raise ValueError("compare: the runs are of different energies.")
    failures = [each for run in runs for each in RunFolder(run).failures()]
    failures = [each for each in failures if not only or each.label in only]
    members, energy = _chosen(members, only), make_energy(first)
    _check_density(members, sweep, samples)
    _check_settings(members, against, sweep, samples)
    if energy is None and samples:
        raise ValueError(
            "compare: `samples` are weighted by an [energy], and the experiment has none."
        )
    for group in _by_data(members):
        # Where flows are told conditions the energy is that of none of them.
        if energy is not None and not any(member.is_told for member in group):
            _control(group, energy)
        _validate(group, energy)
    first_seed = {
        label: min(m.seed for m in members if m.label == label) for label in _labels(members)
    }
    for member in members:
        _score_classes(member, energy, console)
        look(member, energy)
        if sweep and member.seed == first_seed[member.label]:
            member.sweep = _kept(
                member, f"sweep-{sweep}", lambda m=member: _sweep(m, sweep, energy)
            )
            console.print(f"swept: {member.label}, seed {member.seed}", markup=False)
        if energy is not None and samples:
            member.weighted = _weighted(member, samples, energy)
            ess = f"ESS {member.weighted.ess:.1%}, Pareto k {member.weighted.pareto_k:.2f}"
            console.print(f"sampled: {member.label}, seed {member.seed}: {ess}", markup=False)
            if member.weighted.doubt is not None:
                console.print(f"  {member.weighted.doubt}")
    return Comparison(members, energy, against, failures)


def _check_settings(
    members: Sequence[Member], against: str | None, sweep: int, samples: int
) -> None:
    """Raise `ValueError` for what would come to light after all is computed."""
    for variant in {member.variant for member in members}:
        names = [{member.arm, member.label} for member in members if member.variant == variant]
        if against is not None and not any(against in each for each in names):
            raise ValueError(
                f"compare: no arm {against!r} to compare with; there are "
                f"{', '.join(dict.fromkeys(m.arm for m in members if m.variant == variant))}."
            )
    for name, number in {"sweep": sweep, "samples": samples}.items():
        if number < 0 or number == 1:
            raise ValueError(
                f"compare: `{name}` must be 0 for none, or at least 2 for a standard error, got "
                f"{number}."
            )


def _check_conditions(members: Sequence[Member]) -> None:
    """Raise `ValueError` for runs that tell other conditions of the same points."""
    known = {(member.test, member.told.digest) for member in members if member.told is not None}
    if len({test for test, _ in known}) < len(known):
        raise ValueError("compare: the runs have the same test points with other conditions.")


def _check_density(members: Sequence[Member], sweep: int, samples: int) -> None:
    """Raise `ValueError` for what needs the density of flows that have none."""
    for name in [name for name, number in {"sweep": sweep, "samples": samples}.items() if number]:
        for member in members:
            if not member.has_density:
                raise ValueError(
                    f"compare: `{name}` needs densities, and {member.label!r} starts from a prior that "
                    "is known by its draws alone. Leave it out, or say `only` the other arms."
                )
            if member.is_told and name == "samples":
                raise ValueError(
                    f"compare: `samples` are weighted by the [energy], and {member.label!r} draws them "
                    "under a condition, whose energy isn't known. Leave it out, or say `only` the other "
                    "arms."
                )


def _labels(members: Iterable[Member]) -> list[str]:
    return list(dict.fromkeys(member.label for member in members))


def _chosen(members: list[Member], only: Sequence[str]) -> list[Member]:
    labels = _labels(members)
    for label in only:
        if label not in labels:
            raise ValueError(
                f"compare: no arm {label!r} has finished; there are {', '.join(sorted(labels))}."
            )
    keys = [(member.label, member.seed) for member in members]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"compare: two runs hold the arm {key[0]!r} with seed {key[1]}.")
    return [member for member in members if not only or member.label in only]


def _score_classes(member: Member, energy: AbstractEnergy | None, console: Console) -> None:
    """Score the test points under every class, if the flow is told one."""
    told = member.told
    if not member.is_told or told is None or told.classes is None or not member.has_density:
        return
    if len(told.classes) > MOST:
        console.print(
            f"{member.label}: of more than {MOST} classes there is no mixture", markup=False
        )
        return
    _, test = samples_of(member, energy)
    member.classes = kept_scores(member.place, member.flow(), test, told.shares(size_of(member)))


def _by_data(members: list[Member]) -> list[list[Member]]:
    """The members of each run and seed, which have the same data."""
    groups: dict[Path, list[Member]] = {}
    for member in members:
        groups.setdefault(member.place.parent, []).append(member)
    return list(groups.values())


def _control(group: list[Member], energy: AbstractEnergy) -> None:
    train, held_out = samples_of(group[0], energy)
    points, test, chains = train.points, held_out.points, train.chains
    if isinstance(energy, SupportsSampling) and not from_file(group[0].experiment):
        keys = jax.random.split(jax.random.key(group[0].seed), _ENOUGH)
        points = jax.vmap(energy.sample)(keys)
    # The mean over fewer points than are tested on would bring in more luck than it takes out.
    if points.shape[0] <= test.shape[0]:
        return
    at_points, at_test = (np.asarray(of_every(energy, x), np.float64) for x in (points, test))
    luck, level = at_test - at_points.mean(), part_of(at_points, chains)
    origins = test_origins(group[0].experiment, group[0].seed, train)
    pooled = None if origins is None else Pooled(at_points, np.asarray(origins).astype(str))
    for member in group:
        member.control = Control(luck, level, pooled)


def _validate(group: list[Member], energy: AbstractEnergy | None) -> None:
    experiment, seed = group[0].experiment, group[0].seed
    if not experiment.tables.get("data", {}).get("validation"):
        return
    points = functools.cache(lambda: validation_samples(experiment, energy, seed, progress=False))
    for member in group:
        if member.family and member.has_density:
            member.validation = _kept(
                member,
                "validation",
                lambda m=member: (
                    negative_log_likelihood(
                        m.flow(),
                        points().points,
                        condition=points().condition if m.is_told else None,
                    ).nll
                ),
            )


def _kept(member: Member, name: str, make: Callable[[], T]) -> T:
    """What `make` gives, from the arm's folder if it was made before."""
    path = member.place / f"{name}.json"
    return kept(
        path, lambda: write_json(path, make(), indent=None), lambda: read_json(path, "", None)
    )


def _sweep(member: Member, size: int, energy: AbstractEnergy | None) -> list[Row]:
    """NLL and NFE by setting; the first row is the reference, at tight tolerances."""
    flow, (_, test) = member.flow(), samples_of(member, energy)
    test = test[:size]
    told = test.condition if member.is_told else None
    settings: dict[str, dict[str, Any]] = {
        f"tolerance {x:.0e}": {"rtol": x, "atol": x} for x in (_TIGHT, *TOLERANCES)
    }
    settings |= {f"{steps} steps": {"steps": steps} for steps in STEPS}
    rows = []
    for name, given in settings.items():
        found = negative_log_likelihood(
            flow, test.points, chains=test.chains, condition=told, **given, solver=diffrax.Tsit5()
        )
        rows.append({"setting": name, **dataclasses.asdict(found)})
    return rows


def _weighted(member: Member, number: int, energy: AbstractEnergy) -> Weighted:
    path = member.place / f"samples-{number}.npz"

    def draw() -> None:
        x, log_prob = member.flow().sample_and_log_prob(jax.random.key(member.seed), number)
        write_arrays(path, {"x": np.asarray(x), "log_prob": np.asarray(log_prob)})

    def read() -> tuple[Array, Array]:
        stored = read_arrays(path)
        return jnp.asarray(stored["x"]), jnp.asarray(stored["log_prob"])

    return weigh(*kept(path, draw, read), energy)
