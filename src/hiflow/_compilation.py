"""Compiled code is kept on disk, for the command line and for the tests, each in a folder of its own."""

import hashlib
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from hiflow._disk import cache_folder

LARGEST = 2 * 2**30
_PACKAGES = ("hiflow-jax", "jax", "jaxlib")


def keep() -> None:
    """Let JAX keep what it compiles in hiflow's cache folder, at most `LARGEST` bytes, and use what is
    there. To be called before JAX is imported: afterwards it does nothing. Neither does it where the
    user has set `JAX_COMPILATION_CACHE_DIR`, or the folder can't be written."""
    if "jax" in sys.modules or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    wanted = environment("compiled")
    try:
        Path(wanted["JAX_COMPILATION_CACHE_DIR"]).mkdir(parents=True, exist_ok=True)
        forget_the_oldest(cache_folder() / "compiled")
    except OSError:
        return
    os.environ.update(wanted | os.environ)


def keep_nothing() -> None:
    """Let JAX neither keep compiled code nor use any. To be called before JAX is imported: afterwards
    it does nothing."""
    if "jax" not in sys.modules:
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"


def environment(kind: str) -> dict[str, str]:
    """What to set before JAX is imported, so that all it compiles is kept in the folder `kind` of the
    cache. Environment variables reach worker and child processes too."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(cache_folder() / kind / machine()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        # XLA warns at length of preferences of its own (prefer-no-gather), which no processor has.
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def machine(processor: Path = Path("/proc/cpuinfo")) -> str:
    """A name for the versions and the processor: code compiled for another one may not run here."""
    if processor.exists():
        lines = processor.read_text(encoding="utf-8", errors="replace").splitlines()
        # x86 has `flags`, ARM `Features` and numbers for the model.
        kinds = ("model name", "flags", "Features", "CPU implementer", "CPU part")
        about = sorted({line for line in lines if line.startswith(kinds)})
    else:
        about = [platform.processor(), platform.node()]
    names = [platform.machine(), *map(version, _PACKAGES), *about]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def forget_the_oldest(folder: Path, largest: int = LARGEST) -> None:
    """Remove what was used longest ago, until `largest` bytes are left in the folder."""
    states = []
    for path in folder.rglob("*"):
        try:  # Another process may remove it meanwhile.
            state = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            states.append((state.st_atime, state.st_size, path))
    total = 0
    for _, size, path in sorted(states, reverse=True):
        total += size
        if total > largest:
            path.unlink(missing_ok=True)
