"""A comparison as a page of Markdown."""

from collections.abc import Iterable

import numpy as np

from hiflow.experiments._by_class import BY_CLASS, UNTOLD, WITHOUT, by_class_cells
from hiflow.experiments._chosen import BY_CHOICE, CHOSEN, as_printed, chosen_rows
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._doubled import doubt
from hiflow.experiments._losses import losses
from hiflow.experiments._run_folder import Row
from hiflow.experiments._tables import CHOICE, LIKELIHOOD, SAMPLES, markdown, markdown_of


def page(comparison: Comparison, figures: Iterable[str]) -> str:
    """Tables and the figures by their names."""
    rows = comparison.rows()
    every = [*rows, *comparison.failed_rows()]
    parts = ["# Comparison", "", *markdown_of(LIKELIHOOD, every), ""]
    parts += [explanation(comparison, rows), ""]
    parts += [f"**{words}**\n" for words in filter(None, map(doubt, rows))]
    if said := losses(comparison):
        parts += ["## Losses and targets other than the plain ones", "", *said, ""]
    if comparison.failures:
        parts += ["## Failed", "", *(f"- {failure}" for failure in comparison.failures), ""]
    if any(row["variant"] for row in rows):
        parts += ["## Arms by variant", "", *_pivot(rows), ""]
    if classes := comparison.class_rows():
        parts += ["## By class", "", *markdown(*by_class_cells(classes)), "", BY_CLASS, ""]
    if untold := comparison.untold_rows():
        parts += ["## Without the class", "", *markdown_of(UNTOLD, untold), "", WITHOUT, ""]
    if chosen := comparison.choices():
        parts += ["## Each family's best by validation", "", *markdown_of(CHOICE, chosen), ""]
    if by_choice := chosen_rows(comparison.members):
        parts += ["## Paths by choice", "", *markdown_of(CHOSEN, by_choice), "", BY_CHOICE, ""]
        parts += ["```text", as_printed(by_choice), "```", ""]
    if swept := comparison.swept():
        parts += ["## Solver settings", "", *markdown(*sweep_cells(swept)), "", SWEEP, ""]
    if samples := comparison.sample_rows():
        parts += ["## Samples", "", *markdown_of(SAMPLES, samples), "", sampled(comparison), ""]
    parts += [f"![{ALT[name]}]({name}.png)\n" for name in figures]
    return "\n".join(parts)


def explanation(comparison: Comparison, rows: list[Row]) -> str:
    """What the numbers of the table refer to."""
    variants = any(member.variant for member in comparison.members)
    controlled = any(row["controlled"] is not None for row in rows)
    probes = any(row["probe_se"] is not None for row in rows)
    return (
        f"{comparison.caption} Differences are from "
        f"{comparison.against or 'the first arm'}{' of the same variant' if variants else ''}, paired "
        "over test points and seeds. Every ± is half of a 68.3 % confidence interval (Student's) that "
        "covers seeds and test points together; with one seed, the test points alone."
        + _CONTROLLED * controlled
        + _PROBES * probes
        + _TAKEN * any(row["taken"] is not None for row in rows)
        + _DOUBLED * any(row["doubled"] is not None for row in rows)
    )


_CONTROLLED = (
    " `controlled` is the NLL with the energy as control variate: the mean of −log q − V over the test "
    "points plus that of V over many others, whose error is in its ±. Which test points were drawn "
    "hardly moves it: hold this one against the floor."
)
_PROBES = (
    " `± probes` is the part of an NLL's error that comes from estimating the divergence with probes; "
    "all arms have the same probes."
)


_TAKEN = (
    " `weights of step`: where validation took the weights from, or ended the run, seed by seed, by the "
    "NLL of validation points that are no test points."
)


_DOUBLED = (
    " `steps doubled`: how the NLL of eight test points changes by twice as many steps of the solver "
    "(mean over points and seeds), `of a point` the largest change of one. If these aren't small beside "
    "the differences, the steps are too few."
)


def sampled(comparison: Comparison) -> str:
    """What the figures of the samples mean."""
    text = (
        "ESS: Kish's effective share of the samples, mean and least over seeds. Pareto k, the largest "
        "over seeds, of the weights' tail: above 0.7 neither the reweighted figures nor ESS can be "
        "trusted. Energies and free energy in kT; ⟨V⟩ and F = −log Z reweighted, ± standard error."
    )
    if comparison.floor is None:
        return text
    return f"{text} A check: ⟨V⟩ − F is the entropy, which is the NLL's floor, {comparison.floor}."


SWEEP = (
    "Error of the NLL against tolerance 1e-6 of the same flow on the same points, in nats (mean of the "
    "differences; its largest absolute value over points in brackets), and NFE per point; Tsit5."
)
ALT = {
    "losses": "Loss during training, first seed",
    "learning": "NLL and NFE during training",
    "densities": "Exact and learned densities, first seed",
    "pareto": "Error of the NLL against NFE",
    "samples": "Energies and pair distances of samples",
    "images": "Samples of every arm, first seed",
}


def _pivot(rows: list[Row]) -> list[str]:
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    cells = {(row["arm"], row["variant"]): _pivot_cell(row) for row in rows}
    lines = [
        [variant, *(cells.get((arm, variant), "") for arm in arms)]
        for variant in dict.fromkeys(row["variant"] for row in rows)
    ]
    note = "NLL, and in brackets the paired difference, each with its ± as above."
    return [*markdown(["variant", *arms], lines), "", note]


def _pivot_cell(row: Row) -> str:
    if row["nll"] is None:
        return f"W₂ {row['distance']:.2f}"
    text = f"{row['nll']:.2f} ± {row['se']:.2f}"
    if row["difference"] is None:
        return text
    return f"{text} ({row['difference']:+.2f} ± {row['difference_se']:.2f})"


def sweep_cells(swept: dict[str, list[Row]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Titles and rows of the table of solver settings."""
    cells = [[_sweep_cell(row, rows[0]) for row in rows] for rows in swept.values()]
    settings = [row["setting"] for row in next(iter(swept.values()))]
    return ["setting", *swept], list(zip(settings, *cells, strict=True))


def _sweep_cell(row: Row, reference: Row) -> str:
    change = np.asarray(reference["log_prob"]) - np.asarray(row["log_prob"])
    if row is reference:
        return f"NLL {row['nll']:.3f} @ {row['nfe']:.0f}"
    return f"{change.mean():+.3f} ({np.abs(change).max():.2f}) @ {row['nfe']:.0f}"
