"""A hook of mkdocs: in tables a number keeps its error beside it, however narrow the page, and names
are broken where their parts meet."""

import re
from typing import Any

CELL = re.compile(r"<td[^>]*>.*?</td>", re.DOTALL)
CODE = re.compile(r"<code>[^<]*</code>")


def on_page_content(html: str, **_: Any) -> str:
    """The page with its tables' cells made ready for narrow columns."""
    return CELL.sub(_ready, html)


def _ready(cell: re.Match[str]) -> str:
    whole = cell[0].replace(" ± ", "\u00a0±\u00a0")
    return CODE.sub(lambda name: re.sub(r"(?<=\w[/_.])(?=\w{3})", "<wbr>", name[0]), whole)
