"""How the tests compile: quickly, as most of it runs once, and never twice what was compiled before."""

import importlib.util

from hiflow import _compilation

# Without LLVM's optimisations XLA compiles for processors in a third of the time.
QUICK = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false"
)
KIND = "tests-xla"


def environment() -> dict[str, str]:
    """What to set before JAX is imported, unless it is set: `XLA_FLAGS=` in front of the test command
    compiles as users do. Beside a GPU that is always so."""
    kept = _compilation.environment(KIND)
    beside_gpu = importlib.util.find_spec("jax_plugins") is not None
    return kept if beside_gpu else kept | {"XLA_FLAGS": QUICK}
