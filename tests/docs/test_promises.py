"""What the documentation promises names the tests that hold it: they exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("numbers", "files", "runs", "features")


def named(page: str) -> list[tuple[str, str]]:
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    return re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)


@pytest.mark.parametrize("page", PAGES)
def test_every_promise_names_a_test_that_exists(page):
    found = named(page)
    assert found
    for file, name in found:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in text, (file, name)


@pytest.mark.parametrize("page", PAGES)
def test_every_row_of_promises_has_a_test(page):
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    table = text[text.index("| promise | test |") :].split("\n\n")[0].splitlines()[2:]
    for row in table:
        assert "tests/" in row or "the same" in row or "benchmarks/" in row, row
