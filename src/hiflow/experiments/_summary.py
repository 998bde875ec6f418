"""What an experiment came to: one row per arm, and the sentence that says what its numbers refer to."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from hiflow import energies
from hiflow.data import PixelTransform
from hiflow.groups import SupportsPeriods

COLUMNS = ("arm", "NLL", "± s.e.", "bits/dim", "NFE", "steps", "training s")
FIGURES = ("nll", "nll_se", "nfe", "nfe_max")


@dataclasses.dataclass(frozen=True)
class Result:
    """What one arm and seed came to."""

    label: str
    seed: int
    steps: int
    seconds: float
    nll: float
    nll_se: float
    nfe: float
    nfe_max: int
    bits: float | None = None
    """Bits per dimension of the pixels, for images."""


def summarise(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row per arm: means over seeds, with the standard error over seeds, or over the test points
    where there is one seed."""
    rows = []
    for label in dict.fromkeys(result.label for result in results):
        group = [result for result in results if result.label == label]
        nll = np.array([result.nll for result in group])
        several = len(group) > 1
        bits = [result.bits for result in group if result.bits is not None]
        rows.append(
            {
                "arm": label,
                "seeds": len(group),
                "nll": float(nll.mean()),
                "se": float(nll.std(ddof=1) / np.sqrt(len(nll))) if several else group[0].nll_se,
                "bits": float(np.mean(bits)) if bits else None,
                "nfe": float(np.mean([result.nfe for result in group])),
                "steps": group[0].steps,
                "seconds": float(np.mean([result.seconds for result in group])),
            }
        )
    return rows


def caption(
    energy: energies.AbstractEnergy | None, seeds: int, pixels: PixelTransform | None = None
) -> str:
    """What the NLL's numbers refer to: unit, measure, convention, floor and error."""
    where = "Lebesgue measure"
    convention = getattr(energy, "convention", None)
    if energy is not None and energy.group.null_modes(jnp.zeros(energy.event_shape)).shape[1]:
        where += " on the centred subspace"
    if energy is not None and isinstance(energy.group, SupportsPeriods):
        where += " over one period of every periodic coordinate"
    if pixels is not None:
        where += (
            f" of z = (logit(α + (1 − 2α)u) − shift)/scale, with u = (pixel + noise)/{pixels.levels}, "
            f"α = {float(pixels.alpha):g}, shift {float(pixels.shift):g}, scale {float(pixels.scale):g}"
        )
    parts = [f"NLL in nats, with respect to {where}"]
    if pixels is not None:
        parts.append("bits/dim of the pixels, an upper bound (uniform dequantisation)")
    if convention:
        parts.append(f"energy convention {convention}")
    floor = entropy(energy)
    if floor is not None:
        low, high = floor
        exact = high - low < 5e-3
        parts.append(f"floor {low:.3f}" if exact else f"floor {low:.1f} to {high:.1f}")
    parts.append(f"± standard error over {f'{seeds} seeds' if seeds > 1 else 'the test points'}")
    return "; ".join(parts) + "."


def entropy(energy: energies.AbstractEnergy | None) -> tuple[float, float] | None:
    """The floor of any model's NLL on the energy's samples, where it is known."""
    return energy.entropy() if isinstance(energy, energies.SupportsEntropy) else None


def print_table(
    rows: Sequence[Mapping[str, Any]],
    energy: energies.AbstractEnergy | None,
    console: Console,
    pixels: PixelTransform | None = None,
) -> None:
    """Print the summary and what its numbers refer to."""
    table = Table()
    columns, cells = _columns(rows)
    for column in columns:
        table.add_column(column, justify="left" if column == "arm" else "right")
    for row in cells:
        table.add_row(*row)
    console.print(table)
    console.print(caption(energy, rows[0]["seeds"], pixels), soft_wrap=True, highlight=False)


def markdown(
    rows: Sequence[Mapping[str, Any]],
    energy: energies.AbstractEnergy | None,
    pixels: PixelTransform | None = None,
) -> str:
    """The summary as a Markdown table."""
    columns, cells = _columns(rows)
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([*lines, "", caption(energy, rows[0]["seeds"], pixels), ""])


def _columns(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """The columns that some row has a value for, and the rows' cells."""
    cells = [_cells(row) for row in rows]
    kept = [i for i in range(len(COLUMNS)) if any(row[i] for row in cells)]
    return [COLUMNS[i] for i in kept], [[row[i] for i in kept] for row in cells]


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        row["arm"],
        f"{row['nll']:.3f}",
        f"{row['se']:.3f}",
        "" if row["bits"] is None else f"{row['bits']:.3f}",
        f"{row['nfe']:.1f}",
        f"{row['steps']:,}",
        f"{row['seconds']:.1f}",
    ]
