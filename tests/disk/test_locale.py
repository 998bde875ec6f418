"""Text in files is UTF-8 in any locale, and a terminal that can't show a sign loses no run."""

import os
import subprocess
import sys

TOML = """
[energy]
name = "ring"
[[arm]]
label = "α-flow ± 1"
path = {name = "optimal-transport"}
"""
SCRIPT = """
import sys
from pathlib import Path
import jax.numpy as jnp
from hiflow import experiments
from hiflow.data import Samples
from hiflow._shell import console, plain_errors
from hiflow.experiments import Record
from hiflow.experiments._run_folder import RunFolder, read_history

what = experiments.read("made.toml")
for resume in (False, True):
    RunFolder("run").claim(what, [0], resume=resume)
label = RunFolder("run").experiment().arms[0]["label"]
assert label == "\\u03b1-flow \\u00b1 1", ascii(label)
place = RunFolder("run").arm(0, label)
place.mkdir(parents=True)
assert place.name == "u3b1-flow---1"
row = {"step": 3, "loss": 1.0, "nll": 1.0, "nll_se": 0.1, "probe_se": 0.0, "nfe": 6.0}
with plain_errors():
    Record(place, Samples(jnp.ones((2, 2))), None, console).score(row | {"seconds": 1.0, "arm": label})
assert read_history(place)[0]["arm"] == label
"""


def test_files_are_utf_8_where_the_locale_is_not(tmp_path):
    (tmp_path / "made.toml").write_text(TOML, encoding="utf-8")
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr.decode(errors="replace")
    assert b"NLL 1.000 ? 0.100" in found.stdout
