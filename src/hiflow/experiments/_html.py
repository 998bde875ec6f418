"""A run as one page of HTML that needs nothing else: results, pictures, configuration, repetition."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from shlex import quote
from typing import Any

from hiflow.experiments._by_class import BY_CLASS, UNTOLD, WITHOUT, by_class_cells
from hiflow.experiments._chosen import BY_CHOICE, CHOSEN, as_printed, chosen_rows
from hiflow.experiments._comparison import Comparison
from hiflow.experiments._page import ALT, SWEEP, explanation, sampled, sweep_cells
from hiflow.experiments._run_folder import RunFolder
from hiflow.experiments._tables import CHOICE, LIKELIHOOD, SAMPLES, Column, Row, joined

_TITLES = {
    "learning": "Curves",
    "losses": "Losses",
    "densities": "Densities",
    "images": "Images",
    "samples": "Histograms",
    "pareto": "Cost and error",
}


def html(comparison: Comparison, figures: Mapping[str, Any], folder: RunFolder) -> str:
    """The page.

    **Arguments:**

    - `figures`: name to figure.
    - `folder`: the run.
    """
    about = folder.about()
    name = escape(str(about["name"]))
    body = [f"<h1>{name}</h1>", *_results(comparison)]
    for key, title in _TITLES.items():
        if key in figures:
            body += [f"<h2>{title}</h2>", _image(figures[key], ALT[key])]
    if weighed := comparison.sample_rows():
        body += ["<h2>Samples</h2>", _table(SAMPLES, weighed), _text(sampled(comparison))]
    if swept := comparison.swept():
        titles, cells = sweep_cells(swept)
        body += ["<h2>Solver settings</h2>", _cells(titles, cells), _text(SWEEP)]
    body += ["<h2>Configuration</h2>", _code(comparison.experiment.text)]
    body += ["<h2>Versions</h2>", _cells(["what", "which"], _versions(about))]
    body += ["<h2>How to repeat it</h2>", *_repeat(folder, about)]
    return _PAGE.format(title=name, style=_STYLE, body="\n".join(body))


def _results(comparison: Comparison) -> list[str]:
    rows = comparison.rows()
    parts = ["<h2>Results</h2>", _table(LIKELIHOOD, [*rows, *comparison.failed_rows()])]
    parts += [_text(explanation(comparison, rows))]
    if classes := comparison.class_rows():
        parts += ["<h2>By class</h2>", _cells(*by_class_cells(classes)), _text(BY_CLASS)]
    if untold := comparison.untold_rows():
        parts += ["<h2>Without the class</h2>", _table(UNTOLD, untold), _text(WITHOUT)]
    if chosen := comparison.choices():
        parts += ["<h2>Each family's best by validation</h2>", _table(CHOICE, chosen)]
    if by_choice := chosen_rows(comparison.members):
        parts += ["<h2>Paths by choice</h2>", _table(CHOSEN, by_choice), _text(BY_CHOICE)]
        parts += [_code(as_printed(by_choice))]
    if comparison.failures:
        failed = "".join(f"<li>{escape(str(each))}</li>" for each in comparison.failures)
        parts += [f"<h2>Failed</h2><ul>{failed}</ul>"]
    return parts


def _versions(about: Mapping[str, Any]) -> list[list[str]]:
    rows = [[package, str(which)] for package, which in about.get("versions", {}).items()]
    rows += [["Python", str(about.get("python", "unknown"))]]
    return [*rows, ["devices", ", ".join(map(str, about.get("devices", ["unknown"])))]]


def _repeat(folder: RunFolder, about: Mapping[str, Any]) -> list[str]:
    versions = about.get("versions", {})
    exact = " ".join(f"{package}=={which}" for package, which in versions.items())
    seeds = ", ".join(map(str, about["seeds"]))
    steps = (
        "Save the configuration above as config.toml. Seeds of data, networks and training: "
        f"{seeds}. On another kind of device, or with other versions, numbers differ by rounding."
    )
    commands = ([f"pip install {exact}"] if exact else []) + [
        f"hiflow train config.toml --out {quote(folder.root.name)}",
        f"hiflow report {quote(folder.root.name)}",
    ]
    return [_text(steps), _code("\n".join(commands))]


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    return _cells(*joined(columns, rows))


def _cells(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose rows become cards on a narrow screen, with the titles beside the values."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-title="{escape(title)}">{escape(value)}</td>'
            for title, value in zip(titles, row, strict=True)
        )
        + "</tr>\n"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _image(figure: Any, alt: str) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def _text(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _code(text: str) -> str:
    return f"<pre>{escape(text.strip())}</pre>"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 68rem;
  margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid #ccc; }
img { display: block; max-width: 100%; height: auto; }
pre { background: #f5f5f5; padding: .8rem; white-space: pre-wrap; font-size: .85rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
@media (max-width: 50rem) {
  table, tbody, tr, td { display: block; width: 100%; box-sizing: border-box; }
  thead { display: none; }
  tr { border-bottom: 2px solid #999; padding: .4rem 0; }
  td, td:first-child { display: flex; justify-content: space-between; gap: 1rem; border: 0;
    padding: .1rem 0; text-align: right; }
  td:first-child { font-weight: bold; }
  td::before { content: attr(data-title); color: #555; font-weight: normal; text-align: left; }
  td:empty { display: none; }
}
"""
