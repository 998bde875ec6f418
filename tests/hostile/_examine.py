"""What loading a file does to this process."""

import dataclasses
import os
import sys
import time
from pathlib import Path

import jax
import numpy as np

import hiflow as hf
from hostile._parts import MARK


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one file did."""

    name: str
    outcome: str
    """`refused`, `same density`, or what is wrong."""
    message: str
    seconds: float
    grown: int
    """By how many bytes the process's memory had grown at its peak."""


def examine(name: str, file: Path, x: jax.Array, expected: jax.Array) -> Finding:
    """Load a file in this process, beside an `evil_module` in the working directory: what it did."""
    modules, before = set(sys.modules), _reset_peak()
    begun = time.perf_counter()
    try:
        flow = hf.load(file)
        outcome, message = "another density", ""
        if np.array_equal(flow.log_prob(x), expected):
            outcome = "same density"
    except (ValueError, OSError, ImportError) as error:
        outcome, message = "refused", str(error)
    except BaseException as error:
        outcome, message = f"{type(error).__name__}", str(error)
    seconds = time.perf_counter() - begun
    grown = _peak() - before
    if os.path.exists(MARK):
        os.unlink(MARK)
        outcome = "ran code"
    new = {each for each in set(sys.modules) - modules if each.partition(".")[0] != "hiflow"}
    if any("evil" in each for each in new):
        outcome = f"imported {sorted(new)[:3]}"
    return Finding(name, outcome, message, seconds, grown)


def _reset_peak() -> int:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return _peak()


def _peak() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
