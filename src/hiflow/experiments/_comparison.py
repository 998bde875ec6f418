"""The one account of what trained arms came to, in numbers: tables, page and figures are made of it."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hiflow._statistics import Mean, Part, Pooled, mean_over
from hiflow.data import PixelTransform
from hiflow.energies import AbstractEnergy
from hiflow.experiments import _by_class as by_class
from hiflow.experiments._caption import DISTANCE, caption
from hiflow.experiments._chosen import chosen_rows
from hiflow.experiments._doubled import columns
from hiflow.experiments._failures import Failure
from hiflow.experiments._image_data import pixel_transform
from hiflow.experiments._member import Member
from hiflow.experiments._run_folder import Row
from hiflow.experiments._toml import Experiment
from hiflow.metrics import Floor, Weighted


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The arms of one or several runs, each with all its seeds.

    **Arguments:**

    - `members`: at least one.
    - `energy`: of their data, if it is known.
    - `against`: label of the reference arm, by default the first (of every variant).
    - `failures`: the arms and seeds that have no flow because they failed.

    **Example:**

    ```pycon
    >>> from hiflow import experiments
    >>> found = experiments.compare(["run"])
    >>> round(found.floor.low, 3)
    1.424
    >>> list(found.shown())
    ['OT-FM', 'isotropic end law', 'HI-FM (Langevin)']
    ```
    """

    members: Sequence[Member]
    energy: AbstractEnergy | None
    against: str | None = None
    failures: Sequence[Failure] = ()

    def __repr__(self) -> str:
        """A line per arm: its NLL."""
        rows = [*self.rows(), *self.failed_rows()]
        width = max(len(row["label"]) for row in rows)
        lines = [f"  {row['label']:{width}}  {_nll_of(row)}" for row in rows]
        return "\n".join([f"Comparison of {len(rows)} arms", *lines])

    @property
    def experiment(self) -> Experiment:
        """That of the first member."""
        return self.members[0].experiment

    @property
    def floor(self) -> Floor | None:
        """Bounds of the lowest NLL possible, if they are known: of points alone."""
        return None if self._any_told else Floor.of(self.energy)

    @property
    def _any_told(self) -> bool:
        return any(member.is_told for member in self.members)

    @property
    def pixels(self) -> PixelTransform | None:
        """How the points came of pixels, if they are images."""
        return pixel_transform(self.experiment)

    @property
    def caption(self) -> str:
        """What the NLLs refer to."""
        seeds = len({member.seed for member in self.members})
        known = [member.has_density for member in self.members]
        parts = [caption(self.energy, seeds, self.pixels, self._any_told)] if any(known) else []
        parts += [DISTANCE] * (not all(known)) + [by_class.TOLD] * self._any_told
        return " ".join(parts)

    def rows(self) -> list[Row]:
        """One row per arm: NLL, its paired difference from the reference, NFE."""
        return [self._row(group) for group in self._groups().values()]

    def failed_rows(self) -> list[Row]:
        """One row per arm that has failed for every seed: its name, and which seeds."""
        trained = self._groups()
        labels = dict.fromkeys(each.label for each in self.failures if each.label not in trained)
        nothing = dict.fromkeys(self.rows()[0])
        return [{**nothing, "label": label, "failed": self._failed(label)} for label in labels]

    def choices(self) -> list[Row]:
        """The row of each family's best arm by validation, families in order. One that failed for a
        seed isn't chosen where another has them all."""
        families: dict[Any, list[list[Member]]] = {}
        for group in self._groups().values():
            if group[0].family and any(member.validation is not None for member in group):
                families.setdefault((group[0].family, group[0].variant), []).append(group)
        best = [_best(groups)[0].label for groups in families.values()]
        return sorted(
            (row for row in self.rows() if row["label"] in best),
            key=lambda row: best.index(row["label"]),
        )

    def shown(self) -> dict[str, list[Member]]:
        """Label to members of the arms that figures show: all but those that were not their family's
        choice, at most eight."""
        chosen = {row["label"] for row in self.choices()}
        groups = {
            label: group
            for label, group in self._groups().items()
            if label in chosen or group[0].validation is None
        }
        return dict(list(groups.items())[:8])

    def swept(self) -> dict[str, list[Row]]:
        """Label to the rows of its sweep over solver settings."""
        return {m.label: m.sweep for m in self.members if m.sweep is not None}

    def weighed(self) -> dict[str, list[Weighted]]:
        """Label to weighted samples, one set per seed."""
        found: dict[str, list[Weighted]] = {}
        for member in self.members:
            if member.weighted is not None:
                found.setdefault(member.label, []).append(member.weighted)
        return found

    def sample_rows(self) -> list[Row]:
        """One row per arm whose samples were weighted: ESS, energies, free energy."""
        return [sample_row(label, sets) for label, sets in self.weighed().items()]

    def numbers(self) -> Row:
        """All that the page says, and the scores of every seed, as JSON."""
        sweeps = {
            label: [_without_points(row) for row in rows] for label, rows in self.swept().items()
        }
        return {
            "caption": self.caption,
            "rows": self.rows(),
            "classes": self.class_rows(),
            "untold": self.untold_rows(),
            "chosen": [row["label"] for row in self.choices()],
            "by_choice": chosen_rows(self.members),
            "members": [
                {"label": m.label, "seed": m.seed, **_without_points(m.scores)}
                for m in self.members
            ],
            "failed": [dataclasses.asdict(each) for each in self.failures],
            "sweep": sweeps,
            "samples": self.sample_rows(),
        }

    def class_rows(self) -> list[Row]:
        """One row per arm and class, where the test points have classes: NLL, and how often Bayes' rule
        is right."""
        told = {member.test: member.told for member in self.members if member.told is not None}
        return by_class.class_rows(self._groups(), told)

    def untold_rows(self) -> list[Row]:
        """One row per arm, if any is told a class: its NLL without being told, and how often Bayes' rule
        is right."""
        groups = self._groups()
        reference = {label: self._reference(group[0].variant) for label, group in groups.items()}
        return by_class.untold_rows(groups, reference)

    def _failed(self, label: str) -> str | None:
        seeds = [str(each.seed) for each in self.failures if each.label == label]
        return f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" if seeds else None

    def _groups(self) -> dict[str, list[Member]]:
        groups: dict[str, list[Member]] = {}
        for member in self.members:
            groups.setdefault(member.label, []).append(member)
        return groups

    def _reference(self, variant: str) -> str:
        arms = [m for m in self.members if m.variant == variant]
        for member in arms:
            if self.against in (None, member.arm, member.label):
                return member.label
        raise ValueError(
            f"compare: no arm {self.against!r} to compare with; there are "
            f"{', '.join(dict.fromkeys(m.arm for m in arms))}."
        )

    def _row(self, group: list[Member]) -> Row:
        first, scores = group[0], [m.scores for m in group]
        nll = _mean([m.nll for m in group], group) if first.has_density else None
        row = {
            "label": first.label,
            "arm": first.arm,
            "variant": first.variant,
            "family": first.family,
            "seeds": len(group),
            "nll": None if nll is None else nll.value,
            "se": None if nll is None else nll.error,
            "distance": _mean_of(each.get("distance") for each in scores),
            "distance_floor": _mean_of(each.get("distance_floor") for each in scores),
            "nfe": _mean_of(each["nfe"] for each in scores),
            "nfe_max": max(each["nfe_max"] for each in scores),
            "bits": _mean_of(each.get("bits") for each in scores),
            "probe_se": _mean_of(each.get("probe_se") or None for each in scores),
            "steps": scores[0].get("step"),
            "taken": _taken(scores),
            "seconds": _mean_of(each.get("seconds") for each in scores),
            "controlled": None,
            "controlled_se": None,
            "validation": _mean_of(m.validation for m in group),
            "failed": self._failed(first.label),
            **columns([m.doubled for m in group]),
        }
        if nll is not None and all(member.control is not None for member in group):
            controlled = _controlled(group)
            row |= {"controlled": controlled.value, "controlled_se": controlled.error}
        return row | self._difference(group)

    def _difference(self, group: list[Member]) -> Row:
        label = self._reference(group[0].variant)
        reference = {m.seed: m for m in self.members if m.label == label}
        pairs = [(m, reference[m.seed]) for m in group if m.seed in reference]
        if not all(each.has_density for pair in pairs for each in pair):
            pairs = []
        if len({each.is_told for pair in pairs for each in pair}) > 1:
            pairs = []  # One is given the condition, and the other isn't.
        if label == group[0].label or not pairs:
            return {"difference": None, "difference_se": None}
        for mine, other in pairs:
            if mine.test != other.test:
                raise ValueError(
                    f"compare: {mine.label!r} and {other.label!r} have other test points in seed "
                    f"{mine.seed}; give both the same [data]."
                )
        points = [mine.nll - other.nll for mine, other in pairs]
        found = _mean(points, [mine for mine, _ in pairs])
        return {"difference": found.value, "difference_se": found.error}


def _best(groups: list[list[Member]]) -> list[Member]:
    """The arm of the least validation NLL among those that have the most seeds, over seeds that all of
    these have: other seeds have other data."""
    most = max(map(len, groups))
    groups = [group for group in groups if len(group) == most]
    shared = set.intersection(*({member.seed for member in group} for group in groups))

    def nll(group: list[Member]) -> float:
        mean = _mean_of(m.validation for m in group if m.seed in shared or not shared)
        return mean if mean is not None and np.isfinite(mean) else float("inf")

    return min(groups, key=nll)


def _nll_of(row: Row) -> str:
    if row.get("distance") is not None:
        return f"W₂ of samples {row['distance']:.3f}, {row['nfe']:.0f} NFE"
    if row["nll"] is None:
        return "failed"
    return f"NLL {row['nll']:.3f} ± {row['se']:.3f} nats, {row['nfe']:.0f} NFE"


def _controlled(group: list[Member]) -> Mean:
    """The mean NLL with the energy as control variate."""
    tests = [member.test for member in group]
    known = [member.control for member in group if member.control is not None]
    # Seeds of other data have other means of the energy: how these differ is in the seeds' spread, and
    # what they share is that of the points of one file.
    also = [known[0].level] if len(set(tests)) == 1 else []
    values = [member.controlled for member in group if member.controlled is not None]
    return _mean(values, group, also, [each.pooled for each in known])


def _mean(
    values: list[np.ndarray],
    group: list[Member],
    also: Iterable[Part] = (),
    levels: list[Pooled | None] | None = None,
) -> Mean:
    """Over the members' seeds and test points."""
    parts = zip(*((m.test, m.chains, m.origins) for m in group), strict=True)
    tests, chains, origins = map(list, parts)
    return mean_over(values, tests, chains, also, origins, levels)


def sample_row(label: str, sets: list[Weighted]) -> Row:
    mean, mean_se = _pooled([one.mean(one.energies) for one in sets])
    free, free_se = _pooled([one.free_energy for one in sets])
    return {
        "label": label,
        "samples": len(sets[0].energies),
        "ess": float(np.mean([one.ess for one in sets])),
        "ess_least": min(one.ess for one in sets),
        "pareto_k": max(one.pareto_k for one in sets),
        "median_energy": float(np.mean([np.median(one.energies) for one in sets])),
        "mean_energy": mean,
        "mean_energy_se": mean_se,
        "free_energy": free,
        "free_energy_se": free_se,
    }


def _pooled(estimates: list[tuple[float, float]]) -> tuple[float, float]:
    """The mean of independent estimates and its error, of theirs."""
    values, errors = np.transpose(estimates)
    return float(values.mean()), float(np.sqrt(np.sum(errors**2)) / len(errors))


def _without_points(scores: Row) -> Row:
    return {name: value for name, value in scores.items() if name not in ("log_prob", "chains")}


def _taken(scores: Sequence[Row]) -> str | None:
    """Of which steps validation took the weights, seed by seed; `None` where it had no part in it."""
    steps = [each["taken"] for each in scores if "taken" in each]
    return ", ".join(map(str, steps)) or None


def _mean_of(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
