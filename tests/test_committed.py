"""What is read of a comparison that was committed, and what of it is paired."""

import json

import numpy as np
import pytest
from scipy import stats

from hiflow.experiments._committed import less, rows_that_count


@pytest.fixture
def file(tmp_path):
    nll = {"plain": [3.0, 4.0, 6.0], "wide": [2.0, 2.5, 3.5], "narrow": [1.0, 1.0, 1.0]}
    rows = [{"label": name, "family": None if name == "plain" else "tuned"} for name in nll]
    members = [
        {"label": name, "seed": seed, "nll": each[seed]}
        for seed in (2, 0, 1)
        for name, each in nll.items()
    ]
    path = tmp_path / "comparison.json"
    path.write_text(json.dumps({"rows": rows, "members": members, "chosen": ["wide"]}))
    return path


def test_of_a_tuned_family_the_chosen_one_counts_with_its_seeds_in_order(file):
    rows = {row["label"]: row["by_seed"] for row in rows_that_count(file)}
    assert rows == {"plain": [3.0, 4.0, 6.0], "wide": [2.0, 2.5, 3.5]}


def test_differences_are_paired_over_seeds_with_students_error(file):
    plain, wide = rows_that_count(file)
    found, apart = less(wide, plain), np.array([-1.0, -1.5, -2.5])
    assert found.value == pytest.approx(apart.mean())
    quantile = stats.t(2).ppf(stats.norm.cdf(1))
    assert found.error == pytest.approx(quantile * apart.std(ddof=1) / np.sqrt(3), rel=1e-3)
