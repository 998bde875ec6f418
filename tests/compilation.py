"""How the tests compile: quickly, as most of it runs once, and never twice what was compiled before."""

import hashlib
import importlib.util
import platform
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

# Without LLVM's optimisations XLA compiles for processors in a third of the time.
QUICK = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false"
)
LARGEST = 2 * 2**30


def environment() -> dict[str, str]:
    """What to set before JAX is imported, unless it is set: `XLA_FLAGS=` in front of the test command
    compiles as users do. Beside a GPU that is always so.

    Environment variables reach worker and child processes too.
    """
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(_kept() / _machine()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        # XLA takes preferences of its own (prefer-no-gather) for features that the processor lacks.
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    beside_gpu = importlib.util.find_spec("jax_plugins") is not None
    return kept if beside_gpu else kept | {"XLA_FLAGS": QUICK}


def forget_the_oldest(folder: Path | None = None, largest: int = LARGEST) -> None:
    """Remove what was used longest ago, until `largest` bytes are left in the folder."""
    files = [path for path in (folder or _kept()).rglob("*") if path.is_file()]
    states = sorted(((path.stat(), path) for path in files), key=lambda one: -one[0].st_atime)
    total = 0
    for state, path in states:
        total += state.st_size
        if total > largest:
            path.unlink(missing_ok=True)


def _kept() -> Path:
    return user_cache_path("hiflow") / "tests-xla"


def _machine() -> str:
    """Of the versions and the processor: code compiled for another one may not run here."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else [platform.processor()]
    features = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    names = [platform.machine(), version("jax"), version("jaxlib"), *sorted(features)]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
