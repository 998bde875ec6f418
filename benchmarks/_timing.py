"""How benchmarks are timed: pinned to one core, in turns, as ratios with their spread, the machine said.

A time alone says little: shared machines differ by tens of percent from one minute to the next. Two
programs that run in turns see the same machine, so the ratio of each round is kept. Only the standard
library is imported, so that `pin` can come before JAX or PyTorch start their threads.
"""

import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple


def pin(core: int = 0) -> None:
    """Keep this process on one core, where the system can; before JAX or PyTorch are imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def interleaved(
    runs: Mapping[str, Callable[[], object]], rounds: int = 7
) -> dict[str, list[float]]:
    """The seconds of every run in every round, after one that compiles. A run ends when it returns:
    one of JAX waits for its arrays itself."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
    return times


class Spread(NamedTuple):
    """A median, and between what the rounds lie."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.least:.3g}–{self.most:.3g})"


def spread(values: Sequence[float]) -> Spread:
    """The median of some rounds, and the least and most of them."""
    return Spread(statistics.median(values), min(values), max(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Time ÷ time of every round."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])


def machine(packages: Iterable[str] = ("jax", "jaxlib", "numpy", "scipy")) -> dict[str, str]:
    """What a table of times belongs to: processor, system, versions and date."""
    versions = {name: _version(name) for name in packages}
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
    } | {name: found for name, found in versions.items() if found}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    fields = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    name = fields.get("model name", "") or platform.processor() or "unknown"
    family, model = fields.get("cpu family"), fields.get("model")
    return f"{name}, family {family} model {model}" if family else name
