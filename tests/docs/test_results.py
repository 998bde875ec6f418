"""The numbers of the README and of write-ups are those of the committed comparisons."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("results", ROOT / "docs" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = ["README.md", "docs/results.md", "experiments/lj13/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_readme_has_the_committed_numbers(results, page):
    assert list(results.PAGES) == PAGES
    text = (ROOT / page).read_text(encoding="utf-8")
    assert results.with_results(page, text) == text, "run `python docs/results.py`"


def test_another_number_is_noticed(results):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = results.rows_of("few/dw4-10")["HI-FM, Relaxed, 10 samples"]
    typed = readme.replace(results.nll()(row), "1.50 ± 0.01")
    assert typed != readme
    assert results.with_results("README.md", typed) == readme


def test_errors_over_seeds_and_over_points_are_combined(results):
    row = {"seeds": 3, "difference_se": 0.3, "difference_se_points": 0.4}
    # Student's quantile at 84.1 % with 2 degrees of freedom is 1.3213.
    alone = results.error(row, "difference_se")
    np.testing.assert_allclose(alone, 1.3213 * 0.3, rtol=1e-4)
    both = results.error(row, "difference_se", points="difference_se_points")
    assert 0.5 < both < np.hypot(alone, 0.4)
    combined = {"seeds": 3, "difference_se": 0.3}
    assert results.error(combined, "difference_se", points="difference_se_points") == 0.3


def test_a_controlled_nll_has_its_own_error(results):
    row = results.rows_of("lj13/quick")["OT-FM"]
    assert row["controlled_se"] < row["se"] / 2
    assert results.controlled(row).endswith(f"± {row['controlled_se']:.2f}")


def test_the_write_up_of_few_samples_has_the_drivers_table():
    folder = ROOT / "experiments" / "few"
    text = (folder / "README.md").read_text(encoding="utf-8")
    for table in (folder / "table.md").read_text(encoding="utf-8").split("\n\n"):
        assert table.strip() in text, "run `python experiments/few/run.py --report`, copy table.md"
