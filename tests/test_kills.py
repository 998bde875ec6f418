"""Runs that are killed and resumed, in small; `benchmarks/kills.py` does it a hundred times."""

import subprocess
import sys
from pathlib import Path

KILLS = Path(__file__).parents[1] / "benchmarks" / "kills.py"


def test_what_was_killed_is_resumed_to_the_same_flows(tmp_path):
    command = [sys.executable, str(KILLS), "--kills", "4", "--seed", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 resumed to the uninterrupted run's flows, nothing left over" in done.stdout
