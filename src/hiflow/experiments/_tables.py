"""Tables of a comparison's rows, in Markdown and on the console."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

Row = Mapping[str, Any]


class Column(NamedTuple):
    """A column: its title, the key of its values in the rows, and their format."""

    title: str
    key: str
    form: str = "{:.3f}"


LIKELIHOOD = (
    Column("arm", "label", "{}"),
    Column("seeds", "seeds", "{}"),
    Column("NLL", "nll"),
    Column("±", "se"),
    Column("W₂", "distance"),
    Column("W₂ of the data", "distance_floor"),
    Column("controlled", "controlled"),
    Column("±", "controlled_se"),
    Column("difference", "difference", "{:+.3f}"),
    Column("±", "difference_se"),
    Column("validation NLL", "validation"),
    Column("± probes", "probe_se"),
    Column("bits/dim", "bits"),
    Column("NFE", "nfe", "{:.1f}"),
    Column("steps doubled", "doubled", "{:+.3f}"),
    Column("of a point", "doubled_largest", "{:.2f}"),
    Column("steps", "steps", "{:,}"),
    Column("weights of step", "taken", "{}"),
    Column("training s", "seconds", "{:.0f}"),
    Column("failed", "failed", "{}"),
)
_BRIEFLY = ("nll", "se", "distance", "distance_floor", "difference", "difference_se", "nfe")
_CONTROLLED = ("controlled", "controlled_se")
SCORES = tuple(
    c for c in LIKELIHOOD if c.key in ("label", *_BRIEFLY, *_CONTROLLED, "bits", "failed")
)
"""What fits a console of 80 columns."""
CHOICE = (
    Column("family", "family", "{}"),
    Column("chosen", "label", "{}"),
    Column("validation NLL", "validation"),
    *(column for column in LIKELIHOOD if column.key in _BRIEFLY),
)
SAMPLES = (
    Column("arm", "label", "{}"),
    Column("samples", "samples", "{}"),
    Column("ESS", "ess", "{:.1%}"),
    Column("least", "ess_least", "{:.1%}"),
    Column("Pareto k", "pareto_k", "{:.2f}"),
    Column("median V, as sampled", "median_energy", "{:.2f}"),
    Column("⟨V⟩", "mean_energy", "{:.2f}"),
    Column("±", "mean_energy_se", "{:.2f}"),
    Column("F", "free_energy"),
    Column("±", "free_energy_se"),
)


def markdown(titles: Sequence[str], cells: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    header, *lines = (f"| {' | '.join(line)} |" for line in [titles, *cells])
    return [header, "|---" * len(titles) + "|", *lines]


def markdown_of(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """The lines of the rows' table."""
    columns = _filled(columns, rows)
    return markdown([column.title for column in columns], (_cells(columns, row) for row in rows))


def joined(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Titles and cells, each number with its error in one cell."""
    columns = _filled(columns, rows)
    titles = [column.title for column in columns if column.title != "±"]
    lines = []
    for row in rows:
        line: list[str] = []
        for column, cell in zip(columns, _cells(columns, row), strict=True):
            if column.title != "±":
                line.append(cell)
            elif cell:
                line[-1] += f" ± {cell}"
        lines.append(line)
    return titles, lines


def console_table(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """The rows' table for the console."""
    columns = _filled(columns, rows)
    return table_of([column.title for column in columns], [_cells(columns, row) for row in rows])


def table_of(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    """A table for the console, whose first column has words."""
    table = Table()
    for place, (title, *values) in enumerate(zip(titles, *cells, strict=True)):
        if place == 0:
            table.add_column(title, overflow="fold")
        else:  # A number is never cut short.
            table.add_column(title, justify="right", min_width=max(map(len, values)))
    for row in cells:
        table.add_row(*row)
    return table


def _filled(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns that some row has a value for."""
    return [column for column in columns if any(row.get(column.key) is not None for row in rows)]


def _cells(columns: Sequence[Column], row: Row) -> list[str]:
    return ["" if row[c.key] is None else c.form.format(row[c.key]) for c in columns]
