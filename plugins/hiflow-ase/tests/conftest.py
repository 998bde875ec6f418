"""Compiled quickly rather than well: these programs run for milliseconds."""

import os

_QUICKLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
os.environ.setdefault("XLA_FLAGS", _QUICKLY)
