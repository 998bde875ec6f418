"""A damaged file of any kind is an error that names it, or is made anew: no traceback, no hang."""

import os

import numpy as np
import pytest

from damaged import examine_all, kinds

NAMES = (
    *("flow", "energy", "configuration", "run", "data of a run", "history", "mark of checkpoints"),
    *("points.npy", "points.npz", "images", "images.gz", "cache", "manifest of anchors", "anchors"),
)


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory):
    before = os.environ.get("HIFLOW_CACHE")
    found = {kind.name: kind for kind in kinds(tmp_path_factory.mktemp("damaged"))}
    yield found
    os.environ.pop("HIFLOW_CACHE")
    if before is not None:
        os.environ["HIFLOW_CACHE"] = before


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_named_in_the_error(every_kind, name):
    kind = every_kind[name]
    kind.read()
    found = list(examine_all(kind, np.random.default_rng(1), 17))
    wrong = [each for each in found if each.outcome not in ("refused", "made anew", "read")]
    assert wrong == []
    assert any(each.outcome != "read" for each in found)


def test_no_kind_is_left_out(every_kind):
    assert set(every_kind) == set(NAMES)
