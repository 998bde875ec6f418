"""A comparison as a page of Markdown."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from hiflow.experiments._comparison import Comparison
from hiflow.experiments._summary import caption


def page(comparison: Comparison, figures: Iterable[str]) -> str:
    """Tables and the figures by their names."""
    rows = comparison.rows()
    parts = ["# Comparison", "", *_table(_LIKELIHOOD, rows), "", _explanation(comparison, rows), ""]
    if any(row["variant"] for row in rows):
        parts += ["## Arms by variant", "", *_pivot(rows), ""]
    if chosen := comparison.choices():
        parts += ["## Each family's best by validation", "", *_table(_CHOICE, chosen), ""]
    if swept := comparison.swept():
        parts += ["## Solver settings", "", *_sweep_table(swept), "", _SWEEP, ""]
    if samples := comparison.sample_rows():
        parts += ["## Samples", "", *_table(_SAMPLES, samples), "", _sampled(comparison), ""]
    parts += [f"![{_ALT[name]}]({name}.png)\n" for name in figures]
    return "\n".join(parts)


def _explanation(comparison: Comparison, rows: list[dict[str, Any]]) -> str:
    seeds = len({member.seed for member in comparison.members})
    variants = any(member.variant for member in comparison.members)
    controlled = any(row["controlled"] is not None for row in rows)
    probes = any(row["probe_se"] is not None for row in rows)
    return (
        f"{caption(comparison.energy, seeds, comparison.pixels)} Differences are from "
        f"{comparison.against or 'the first arm'}{' of the same variant' if variants else ''}, paired "
        "over test points and seeds: ± over seeds (over points where there is one seed), and in the "
        "next column ± over test points." + _CONTROLLED * controlled + _PROBES * probes
    )


_CONTROLLED = (
    " `controlled` is the NLL with the energy as control variate: the mean of −log q − V over the test "
    "points plus that of V over all training points, ± over test points. Which test points were drawn "
    "hardly moves it: hold this one against the floor."
)
_PROBES = (
    " `± probes` is the part of an NLL's error that comes from estimating the divergence with probes; "
    "all arms have the same probes."
)


def _sampled(comparison: Comparison) -> str:
    text = (
        "ESS: Kish's effective share of the samples, mean and least over seeds. Energies and free "
        "energy in kT; ⟨V⟩ and F = −log Z reweighted, ± standard error."
    )
    if comparison.floor is None:
        return text
    low, high = comparison.floor
    floor = f"{low:.3f}" if high - low < 5e-3 else f"{low:.1f} to {high:.1f}"
    return f"{text} A check: ⟨V⟩ − F is the entropy, which is the NLL's floor, {floor}."


_SIGNED = "{:+.3f}"
_LIKELIHOOD = {
    "arm": ("label", "{}"),
    "seeds": ("seeds", "{}"),
    "NLL": ("nll", "{:.3f}"),
    "±": ("se", "{:.3f}"),
    "controlled": ("controlled", "{:.3f}"),
    "±  ": ("controlled_se", "{:.3f}"),
    "difference": ("difference", _SIGNED),
    "± ": ("difference_se", "{:.3f}"),
    "± points": ("difference_se_points", "{:.3f}"),
    "± probes": ("probe_se", "{:.3f}"),
    "bits/dim": ("bits", "{:.3f}"),
    "NFE": ("nfe", "{:.1f}"),
    "steps": ("steps", "{:,}"),
    "training s": ("seconds", "{:.0f}"),
}
_CHOICE = {
    "family": ("family", "{}"),
    "chosen": ("label", "{}"),
    "validation NLL": ("validation", "{:.3f}"),
    "test NLL": ("nll", "{:.3f}"),
    "±": ("se", "{:.3f}"),
    "difference": ("difference", _SIGNED),
    "± ": ("difference_se", "{:.3f}"),
    "NFE": ("nfe", "{:.1f}"),
}
_SAMPLES = {
    "arm": ("label", "{}"),
    "samples": ("samples", "{}"),
    "ESS": ("ess", "{:.1%}"),
    "least": ("ess_least", "{:.1%}"),
    "median V, as sampled": ("median_energy", "{:.2f}"),
    "⟨V⟩": ("mean_energy", "{:.2f}"),
    "±": ("mean_energy_se", "{:.2f}"),
    "F": ("free_energy", "{:.3f}"),
    "± ": ("free_energy_se", "{:.3f}"),
}
_SWEEP = (
    "Error of the NLL against tolerance 1e-6 of the same flow on the same points, in nats (mean of the "
    "differences; its largest absolute value over points in brackets), and NFE per point; Tsit5."
)
_ALT = {
    "learning": "NLL and NFE during training",
    "densities": "Exact and learned densities, first seed",
    "pareto": "Error of the NLL against NFE",
    "samples": "Energies and pair distances of samples",
    "images": "Samples of every arm, first seed",
}


def _table(columns: dict[str, tuple[str, str]], rows: list[dict[str, Any]]) -> list[str]:
    columns = {
        name: (key, form)
        for name, (key, form) in columns.items()
        if any(row[key] is not None for row in rows)
    }
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        cells = [
            "" if row[key] is None else form.format(row[key]) for key, form in columns.values()
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _pivot(rows: list[dict[str, Any]]) -> list[str]:
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    cells = {(row["arm"], row["variant"]): row for row in rows}
    lines = [f"| variant | {' | '.join(arms)} |", "|---" * (len(arms) + 1) + "|"]
    for variant in variants:
        texts = [_pivot_cell(cells.get((arm, variant))) for arm in arms]
        lines.append(f"| {variant} | {' | '.join(texts)} |")
    return [*lines, "", "NLL ± standard error, and in brackets the paired difference."]


def _pivot_cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    text = f"{row['nll']:.2f} ± {row['se']:.2f}"
    if row["difference"] is None:
        return text
    return f"{text} ({row['difference']:+.2f} ± {row['difference_se']:.2f})"


def _sweep_table(swept: dict[str, list[dict[str, Any]]]) -> list[str]:
    settings = [row["setting"] for row in next(iter(swept.values()))]
    lines = [f"| setting | {' | '.join(swept)} |", "|---" * (len(swept) + 1) + "|"]
    for index, setting in enumerate(settings):
        cells = [_sweep_cell(rows[index], rows[0]) for rows in swept.values()]
        lines.append(f"| {setting} | {' | '.join(cells)} |")
    return lines


def _sweep_cell(row: dict[str, Any], reference: dict[str, Any]) -> str:
    change = np.asarray(reference["log_prob"]) - np.asarray(row["log_prob"])
    if row is reference:
        return f"NLL {row['nll']:.3f} @ {row['nfe']:.0f}"
    return f"{change.mean():+.3f} ({np.abs(change).max():.2f}) @ {row['nfe']:.0f}"
