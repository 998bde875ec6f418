"""A hook of mkdocs: formulas become MathML while the site is built, so that a page needs neither a
script nor a network to show them."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">'
    r"(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\])</(?P=tag)>",
    re.DOTALL,
)
# What the converter doesn't know, in words that it knows.
SPELT = {
    r"\bigl": "",
    r"\bigr": "",
    r"\Bigl": "",
    r"\Bigr": "",
    r"\tfrac": r"\frac",
    r"\dfrac": r"\frac",
}


# Names of functions stand off from what they are taken of.
NAME = re.compile(r"<m[io]>(?:log|det|exp|cos|sin|tr|div)</m[io]>")


def on_post_page(output: str, **_: Any) -> str:
    """The page with its formulas converted."""
    return FORMULA.sub(_converted, output)


def _converted(match: re.Match[str]) -> str:
    display = "block" if match["inline"] is None else "inline"
    latex = html.unescape(match["inline"] or match["block"])
    for one, other in SPELT.items():
        latex = re.sub(re.escape(one) + r"(?![a-zA-Z])", lambda _, other=other: other, latex)
    mathml = NAME.sub(r'\g<0><mspace width="0.17em"/>', convert(latex, display=display))
    tag = match["tag"]
    return f'<{tag} class="arithmatex">{mathml}</{tag}>'
