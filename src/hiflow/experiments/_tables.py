"""Tables of a comparison's rows, in Markdown and on the console."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]
# Of a label that is folded.
_WORDS = 12
# With lines between columns, and without; what every column and the edge take beside the words.
_LOOKS: tuple[tuple[dict[str, Any], int, int], ...] = (({}, 3, 1), ({"box": None}, 2, 0))


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
    return with_errors([column.title for column in columns], (_cells(columns, row) for row in rows))


def console_table(columns: Sequence[Column], rows: Sequence[Row]) -> "Fitting":
    """The rows' table for the console."""
    columns = _filled(columns, rows)
    return Fitting([column.title for column in columns], [_cells(columns, row) for row in rows])


class Fitting:
    """A table for the console, whose first column has words. Where its numbers don't fit side by side,
    every row becomes a paragraph, with a line for every number: nothing is cut short.

    **Arguments:**

    - `titles`, `cells`: as of a table; titles that repeat `±` are errors of the cell before.
    """

    def __init__(self, titles: Sequence[str], cells: Sequence[Sequence[str]]):
        self.titles = titles
        self.cells = cells

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for look, between, edge in _LOOKS:
            room = options.max_width - between * len(self.titles) - edge
            for widths in self._widths():
                widths[0] = min(widths[0], max(room - sum(widths[1:]), _WORDS))
                if sum(widths) <= room:
                    yield self._table(Table(**look), widths)
                    return
        yield Text("\n".join(self._lines()), overflow="fold")

    def _widths(self) -> Iterator[list[int]]:
        """Of every column, with its title in one line, and in a line for every word."""
        columns = list(zip(self.titles, *self.cells, strict=True))
        yield [max(map(cell_len, column)) for column in columns]
        yield [max(map(cell_len, [*title.split(), *values])) for title, *values in columns]

    def _table(self, table: Table, widths: Sequence[int]) -> Table:
        for place, (title, width) in enumerate(zip(self.titles, widths, strict=True)):
            # Text, since a label in brackets is no markup.
            side = "right" if place else "left"
            table.add_column(Text(title), justify=side, width=width, overflow="fold")
        for row in self.cells:
            table.add_row(*map(Text, row))
        return table

    def _lines(self) -> Iterator[str]:
        titles, rows = with_errors(self.titles, self.cells)
        width = max(map(cell_len, titles))
        for label, *row in rows:
            yield label
            for title, cell in zip(titles[1:], row, strict=True):
                if cell:
                    yield f"  {title:{width}}  {cell}"


def with_errors(
    titles: Sequence[str], cells: Iterable[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Titles and cells, each number with its error in one cell."""
    lines = []
    for row in cells:
        line: list[str] = []
        for title, cell in zip(titles, row, strict=True):
            if title != "±":
                line.append(cell)
            elif cell:
                line[-1] += f" ± {cell}"
        lines.append(line)
    return [title for title in titles if title != "±"], lines


def _filled(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns that some row has a value for."""
    return [column for column in columns if any(row.get(column.key) is not None for row in rows)]


def _cells(columns: Sequence[Column], row: Row) -> list[str]:
    return ["" if row[c.key] is None else c.form.format(row[c.key]) for c in columns]
