"""Tables on the console: nothing of them is cut short, however narrow it is, and words are no markup."""

import io
import re

import pytest
from rich.console import Console

from hiflow.experiments._tables import LIKELIHOOD, SCORES, Fitting, console_table

NUMBERS = {
    "nll": -123.456, "se": 1.234, "difference": -12.345, "difference_se": 1.234,
    "controlled": -123.456, "controlled_se": 1.234, "bits": 2.345, "nfe": 49.1,
}  # fmt: skip


def printed(table, width):
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return captured.get()


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40])
def test_titles_and_numbers_are_whole_at_any_width(width):
    rows = [
        {**dict.fromkeys(c.key for c in LIKELIHOOD), "label": label, **NUMBERS}
        for label in ("OT-FM", "HI-FM (Langevin) of a long name")
    ]
    text = printed(console_table(SCORES, rows), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for word in ("NLL", "controlled", "difference", "bits/dim", "NFE"):
        assert word in text
    for value in NUMBERS.values():
        assert len(re.findall(rf"{value:.3f}|{value:.1f}\b", text)) >= len(rows)


@pytest.mark.parametrize("width", [80, 12])
def test_a_label_in_brackets_is_shown_as_it_is(width):
    text = printed(Fitting(["arm", "NLL"], [["[/b] [red]", "1.25"]]), width)
    assert "[/b] [red]" in text
    assert "1.25" in text
