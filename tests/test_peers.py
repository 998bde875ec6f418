"""The table of hiflow beside its peers: its rows, what counts as the same work, and how it is kept."""

import dataclasses
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    modules = {"rows": "_peers.rows", "table": "_peers.table", "timing": "_timing"}
    return SimpleNamespace(**{key: import_module(name) for key, name in modules.items()})


def _result(peers, row, facts, seconds):
    found = {"facts": facts, "seconds": seconds, "failed": {}, "date": "2026-01-01", "rounds": 3}
    complaints = peers.rows.disagreements(row, facts)
    return peers.table.result_of(row, **found, disagreements=complaints)


def test_goals_and_limits_are_of_others_in_their_row(peers):
    for row in peers.rows.ROWS:
        assert row.goals.keys() <= row.others.keys(), row.name
        assert row.limits.keys() <= row.others.keys(), row.name
        # The check has to run where no peer is installed.
        assert {row.others[label][0] for label in row.limits} <= {"hand", "hiflow"}, row.name


def test_rows_are_chosen_by_name(peers):
    assert [row.name for row in peers.rows.chosen("ot,step")] == ["ot", "step"]
    assert peers.rows.chosen("all") == peers.rows.ROWS
    with pytest.raises(SystemExit, match=r"no row 'stop'.*There are step"):
        peers.rows.chosen("stop")


@pytest.mark.parametrize(
    ("theirs", "complaint"),
    [
        ({"parameters": 10, "log_prob": -2.0001}, None),
        ({"parameters": 11, "log_prob": -2.0}, "parameters is 10 for hiflow and 11 for other"),
        ({"parameters": 10, "log_prob": -2.1}, "log_prob is -2 for hiflow and -2.1 for other"),
        ({"parameters": 10, "log_prob": float("nan")}, "log_prob is -2 for hiflow and nan"),
        ({"error": 1.0}, None),
    ],
)
def test_other_work_is_told_apart(peers, theirs, complaint):
    row = dataclasses.replace(peers.rows.ROWS[0], others={"other": ("hand", "x")}, goals={})
    facts = {"hiflow": {"parameters": 10, "log_prob": -2.0, "error": 0.1}, "other": theirs}
    found = peers.rows.disagreements(row, facts)
    assert len(found) == (complaint is not None)
    assert complaint is None or complaint in found[0]


def test_ratios_are_of_the_same_round(peers):
    quotient = peers.timing.ratio([1.0, 2.0, 9.0], [2.0, 4.0, 3.0])
    assert quotient == (0.5, 0.5, 3.0)


def test_a_table_is_written_and_read_row_by_row(peers, tmp_path):
    file, one, two = tmp_path / "peers.json", *peers.rows.chosen("step,ot")
    label = "torchcfm"
    facts = {"hiflow": {"parameters": 3}, label: {"parameters": 3}}
    kept = {"ot": _result(peers, two, {"hiflow": {}}, {"hiflow": [1.0]})}
    peers.table.write(file, {"processor": "p"}, kept)
    kept = peers.table.read(file)
    kept["step"] = _result(peers, one, facts, {"hiflow": [1e-3] * 3, label: [4e-3] * 3})
    peers.table.write(file, {"processor": "p"}, kept)
    assert list(peers.table.read(file)) == ["step", "ot"]
    text = file.with_suffix(".md").read_text()
    assert "| torchcfm | 0.25 (0.25–0.25) | ✓ ≤ 0.5 | 1 ms | 4 ms | same parameters |" in text
