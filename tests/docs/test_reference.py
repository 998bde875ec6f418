"""Every public name of the reference has an example, and every example prints what it says.

An example is a block of `pycon` in a docstring. It starts from the names of the block in
`docs/reference/index.md`, and is left out after the line `<!-- skip: why -->`.
"""

import doctest
import importlib
import math
import re
import textwrap
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from test_examples import ROOT, blocks, clean_session, name_of

__all__ = ["clean_session"]
PAGES = sorted((ROOT / "docs/reference").glob("*.md"))
EXAMPLE = re.compile(r"(<!-- skip: [^\n]+ -->\n)?^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d*)?(?:e[+-]?\d+)?")
# What is there in the example needn't be there elsewhere, and asking whether a class follows a protocol
# is the point of some.
LENIENT = (
    "# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false\n"
    "# pyright: reportGeneralTypeIssues=false"
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def documented(page: Path) -> list[str]:
    return re.findall(r"^::: (\S+)$", page.read_text(), re.M)


def examples(name: str) -> list[tuple[str, bool]]:
    """The examples in a public name's docstring, and whether each is left out."""
    _, *parts = name.split(".")
    importlib.import_module("hiflow.registry")
    found: Any = reduce(getattr, parts, importlib.import_module("hiflow"))
    lines: list[str] = list((found.__doc__ or "").splitlines())
    return [
        (match[2], match[1] is not None)
        for match in EXAMPLE.finditer("\n".join(line.strip("\r") for line in dedented(lines)))
    ]


def dedented(lines: list[str]) -> list[str]:
    """A docstring's lines without the indentation of all but the first."""
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    return [line[margin:] if n else line for n, line in enumerate(lines)]


def statements(page: Path) -> str:
    """All examples of a page as a module, each in a function of its own, for a type checker."""
    start = "".join(code for _, code in blocks(ROOT / "docs/reference/index.md", "python"))
    parts = [
        f"def _{name.replace('.', '_')}_{n}():\n"
        + textwrap.indent(
            "".join(one.source for one in doctest.DocTestParser().get_examples(code)), "    "
        )
        for name in documented(page)
        for n, (code, _) in enumerate(examples(name))
    ]
    return "\n\n".join([LENIENT, start, *parts])


class Near(doctest.OutputChecker):
    """As printed, but that a float may be off by a hundredth, of itself or of 1."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        if super().check_output(want, got, optionflags):
            return True
        want, got = (closed(" ".join(text.split())) for text in (want, got))
        pairs = list(zip(NUMBER.findall(want), NUMBER.findall(got), strict=False))
        return NUMBER.split(want) == NUMBER.split(got) and all(near(*pair) for pair in pairs)


def closed(text: str) -> str:
    """Without the spaces inside of brackets, which align the columns of an array."""
    return re.sub(r"(?<=[\[(,]) | (?=[\]),])", "", text)


def near(want: str, got: str) -> bool:
    if want.lstrip("-").isdigit():
        return want == got
    return math.isclose(float(want), float(got), rel_tol=0.01, abs_tol=0.01)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The names that all examples start from."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIFLOW_CACHE", str(tmp_path_factory.mktemp("cache")))
        for _, code in blocks(ROOT / "docs/reference/index.md", "python"):
            exec(code, names)
    return names


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_public_name_has_an_example(page):
    assert [name for name in documented(page) if not examples(name)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if documented(page)], ids=name_of)
def test_examples_print_what_they_say(page, known, clean_session):
    said: list[str] = []
    runner = doctest.DocTestRunner(Near(), verbose=False, optionflags=FLAGS)
    for name in documented(page):
        for code, skipped in examples(name):
            if not skipped:
                parsed = doctest.DocTestParser().get_doctest(code, known, name, str(page), 0)
                runner.run(parsed, out=said.append, clear_globs=True)
    assert not said, "".join(said)


@pytest.mark.parametrize(
    ("want", "got", "same"),
    [
        ("Array([1.  , 2.5 ], dtype=float32)", "Array([1., 2.501], dtype=float32)", True),
        ("Array([ 0., -1.], dtype=float32)", "Array([-0.   , -1.003], dtype=float32)", True),
        ("Array([1., 2.5], dtype=float32)", "Array([1., 2.6], dtype=float32)", False),
        ("Array([1., 2.5], dtype=float32)", "Array([1., 2.5, 3.], dtype=float32)", False),
        ("(200, 2)", "(201, 2)", False),
        ("'ring'", "'wells'", False),
    ],
)
def test_a_float_may_be_off_by_a_hundredth_and_nothing_else(want, got, same):
    assert Near().check_output(want + "\n", got + "\n", FLAGS) == same
