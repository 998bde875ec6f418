"""What a comparison of arms came to, in numbers."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from hiflow import energies, metrics
from hiflow.data import PixelTransform
from hiflow.experiments._data import pixel_transform
from hiflow.experiments._summary import entropy
from hiflow.experiments._toml import Experiment


@dataclasses.dataclass
class Member:
    """One trained arm and seed, with what was computed of its flow."""

    label: str
    arm: str
    variant: str
    family: str
    seed: int
    place: Path
    history: list[dict[str, Any]]
    test: str
    experiment: Experiment
    energies: np.ndarray | None = None
    """The energy at every test point."""
    mean_energy: float = float("nan")
    """Its mean over the experiment's training points, many more."""
    validation: float | None = None
    sweep: list[dict[str, Any]] | None = None
    weighted: metrics.Weighted | None = None

    @property
    def nll(self) -> np.ndarray:
        """The negative log density of every test point."""
        return -np.asarray(self.history[-1]["log_prob"])

    @property
    def controlled(self) -> np.ndarray | None:
        r"""The same with the energy as control variate, $-\log q(x) - V(x) + \langle V\rangle$.

        It has the mean of `nll` and, the nearer $q$ is to $e^{-V}/Z$, the less spread: which test points
        were drawn hardly matters.
        """
        return None if self.energies is None else self.nll - self.energies + self.mean_energy


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The arms of several runs, each with all its seeds."""

    members: list[Member]
    energy: energies.AbstractEnergy | None
    against: str | None
    experiment: Experiment

    @property
    def floor(self) -> tuple[float, float] | None:
        """Bounds of the lowest NLL possible, if they are known."""
        return entropy(self.energy)

    @property
    def pixels(self) -> PixelTransform | None:
        """How the points came of pixels, if they are images."""
        return pixel_transform(self.experiment)

    def rows(self) -> list[dict[str, Any]]:
        """One row per arm: NLL, its paired difference from the reference, NFE."""
        return [self._row(label) for label in dict.fromkeys(m.label for m in self.members)]

    def choices(self) -> list[dict[str, Any]]:
        """The row of each family's best arm by validation, families in order."""
        rows = self.rows()
        families = dict.fromkeys((r["family"], r["variant"]) for r in rows if r["family"])
        best = []
        for key in families:
            group = [row for row in rows if (row["family"], row["variant"]) == key]
            best.append(min(group, key=lambda row: row["validation"]))
        return best

    def shown(self) -> list[str]:
        """The labels that figures show: each family's best if there are families, else all; at most
        eight."""
        chosen = [row["label"] for row in self.choices()]
        return (chosen or [label for label, _ in self._groups()])[:8]

    def shown_first(self) -> dict[str, Member]:
        """The same labels to their first seed."""
        members = {m.label: m for m in reversed(self.members)}
        return {label: members[label] for label in self.shown()}

    def histories(self) -> dict[str, list[Any]]:
        """Label to one history per seed, of the arms that figures show."""
        shown = self.shown()
        return {
            label: [m.history for m in group] for label, group in self._groups() if label in shown
        }

    def swept(self) -> dict[str, list[dict[str, Any]]]:
        """Label to the rows of its sweep over solver settings."""
        return {m.label: m.sweep for m in self.members if m.sweep is not None}

    def weighed(self) -> dict[str, list[metrics.Weighted]]:
        """Label to weighted samples, one set per seed."""
        found = {
            label: [m.weighted for m in group if m.weighted is not None]
            for label, group in self._groups()
        }
        return {label: sets for label, sets in found.items() if sets}

    def sample_rows(self) -> list[dict[str, Any]]:
        """One row per arm whose samples were weighted: ESS, energies, free energy."""
        return [_sample_row(label, sets) for label, sets in self.weighed().items()]

    def numbers(self) -> dict[str, Any]:
        """All that the page says, as JSON."""
        sweeps = {
            label: [{k: v for k, v in row.items() if k != "log_prob"} for row in rows]
            for label, rows in self.swept().items()
        }
        return {
            "rows": self.rows(),
            "chosen": [row["label"] for row in self.choices()],
            "sweep": sweeps,
            "samples": self.sample_rows(),
        }

    def _groups(self) -> list[tuple[str, list[Member]]]:
        labels = dict.fromkeys(member.label for member in self.members)
        return [(label, [m for m in self.members if m.label == label]) for label in labels]

    def _reference(self, variant: str) -> str:
        arms = [m for m in self.members if m.variant == variant]
        for member in arms:
            if self.against in (None, member.arm, member.label):
                return member.label
        raise ValueError(
            f"compare: no arm {self.against!r} to compare with; there are "
            f"{', '.join(dict.fromkeys(m.arm for m in arms))}."
        )

    def _row(self, label: str) -> dict[str, Any]:
        group = [m for m in self.members if m.label == label]
        first, means = group[0], np.array([m.nll.mean() for m in group])
        row = {
            "label": label,
            "arm": first.arm,
            "variant": first.variant,
            "family": first.family,
            "seeds": len(group),
            "nll": float(means.mean()),
            "se": metrics.standard_error(means)
            if len(group) > 1
            else metrics.standard_error(first.nll),
            "nfe": float(np.mean([m.history[-1]["nfe"] for m in group])),
            "bits": _mean_of([m.history[-1].get("bits") for m in group]),
            "probe_se": _mean_of([m.history[-1].get("probe_se") or None for m in group]),
            "steps": int(first.history[-1]["step"]),
            "seconds": float(np.mean([m.history[-1]["seconds"] for m in group])),
        }
        controlled = [m.controlled for m in group if m.controlled is not None]
        row |= {"controlled": None, "controlled_se": None}
        if controlled:
            each = [values.mean() for values in controlled]
            row["controlled"] = float(np.mean(each))
            row["controlled_se"] = metrics.standard_error(np.mean(controlled, axis=0))
        validation = [m.validation for m in group if m.validation is not None]
        row["validation"] = float(np.mean(validation)) if validation else None
        return row | self._difference(group)

    def _difference(self, group: list[Member]) -> dict[str, Any]:
        label = self._reference(group[0].variant)
        reference = {m.seed: m for m in self.members if m.label == label}
        pairs = [(m, reference[m.seed]) for m in group if m.seed in reference]
        if label == group[0].label or not pairs:
            return {"difference": None, "difference_se": None, "difference_se_points": None}
        for mine, other in pairs:
            if mine.test != other.test:
                raise ValueError(
                    f"compare: {mine.label!r} and {other.label!r} have other test points in seed "
                    f"{mine.seed}; give both the same [data]."
                )
        points = [mine.nll - other.nll for mine, other in pairs]
        means = np.array([values.mean() for values in points])
        # Seeds that share their test points are averaged first: their errors aren't independent.
        if len({mine.test for mine, _ in pairs}) == 1:
            over_points = metrics.standard_error(np.mean(points, axis=0))
        else:
            each = np.array([metrics.standard_error(values) for values in points])
            over_points = float(np.sqrt(np.sum(each**2)) / len(each))
        over_seeds = metrics.standard_error(means) if len(means) > 1 else over_points
        return {
            "difference": float(means.mean()),
            "difference_se": over_seeds,
            "difference_se_points": over_points,
        }


def _sample_row(label: str, sets: list[metrics.Weighted]) -> dict[str, Any]:
    mean = np.array([one.mean(one.energies) for one in sets])
    free = np.array([one.free_energy for one in sets])
    return {
        "label": label,
        "samples": len(sets[0].energies),
        "ess": float(np.mean([one.ess for one in sets])),
        "ess_least": min(one.ess for one in sets),
        "median_energy": float(np.mean([np.median(one.energies) for one in sets])),
        "mean_energy": float(mean[:, 0].mean()),
        "mean_energy_se": float(np.sqrt(np.sum(mean[:, 1] ** 2)) / len(sets)),
        "free_energy": float(free[:, 0].mean()),
        "free_energy_se": float(np.sqrt(np.sum(free[:, 1] ** 2)) / len(sets)),
    }


def _mean_of(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
